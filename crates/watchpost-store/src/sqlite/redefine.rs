//! The catalogue: which monitors there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use watchpost_core::plan::{Known, Wanted};
use watchpost_core::ports::BoxFuture;
use watchpost_core::{Monitor, MonitorId, MonitorKey, Shown, State, Timestamp};
use watchpost_wire::stored::{document_from_text, document_to_text};

use super::commit::{
    ROWS_PER_INSERT, cut_intervals, known_entries, take_in, write_entries, write_interval, write_states,
};
use super::index::{Held, Index};
use super::tail::Tail;
use super::writer::{Survives, Writer};
use super::{SqliteStore, backend, key_from, unreadable};
use crate::rules::{Slot, assign_keys};
use crate::{Catalog, Redefine, StoreError};

/// What an edit comes to.
struct Redefined {
    keys: Vec<MonitorKey>,
    /// Those that begin with a fresh state: new, or removed before.
    fresh: BTreeMap<MonitorKey, State>,
}

/// A row of `monitors` as it is wanted.
#[derive(PartialEq)]
struct Line {
    key: MonitorKey,
    id: String,
    kind: String,
    name: String,
    target: String,
    document: String,
    position: i64,
}

impl Line {
    fn wanted(key: MonitorKey, position: usize, wanted: &Wanted) -> Line {
        let definition = &wanted.definition;
        Line {
            key,
            id: definition.id.to_string(),
            kind: definition.kind().to_string(),
            name: definition.name.clone(),
            target: definition.spec.target(),
            document: document_to_text(&wanted.document),
            position: i64::try_from(position).unwrap_or(i64::MAX),
        }
    }
}

impl Writer {
    /// Applies an edit of the catalogue.
    pub(super) async fn redefine(&mut self, edit: Redefine) -> Result<Vec<MonitorKey>, StoreError> {
        let news = self.news(&edit.entries).await?;
        let known = known_entries(&self.shared.index(), &edit.entries);
        let connection = self.begin(Survives::PowerLoss).await?;
        let written = match write_entries(connection, &known, &news).await {
            Ok(()) => write_edit(connection, &edit).await,
            Err(error) => Err(error),
        };
        let redefined = self.end(written).await?;
        take_in(&self.shared, &edit.entries, news);
        redefine_index(&mut self.shared.index_mut(), &edit, &redefined);
        Ok(redefined.keys)
    }
}

async fn write_edit(connection: &mut SqliteConnection, edit: &Redefine) -> Result<Redefined, StoreError> {
    let slots = read_slots(connection).await?;
    let next_key: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'next_key'")
        .fetch_one(&mut *connection)
        .await
        .map_err(backend)?;
    let (keys, next_key) = assign_keys(&slots, u32::try_from(next_key).unwrap_or(u32::MAX), edit);
    sqlx::query("UPDATE meta SET value = ?1 WHERE name = 'next_key' AND value <> ?1")
        .bind(i64::from(next_key))
        .execute(&mut *connection)
        .await
        .map_err(backend)?;
    for key in &edit.removed {
        sqlx::query("UPDATE monitors SET removed_at = ?2 WHERE key = ?1 AND removed_at IS NULL")
            .bind(i64::from(key.0))
            .bind(edit.at.as_millis())
            .execute(&mut *connection)
            .await
            .map_err(backend)?;
    }
    let mut fresh = BTreeMap::new();
    let still: BTreeSet<MonitorKey> = slots
        .iter()
        .filter(|slot| slot.removed_at.is_none() && !edit.removed.contains(&slot.key))
        .map(|slot| slot.key)
        .collect();
    for (key, (_, wanted)) in keys.iter().zip(&edit.monitors).filter(|(key, _)| !still.contains(key)) {
        fresh.insert(*key, State::fresh(wanted.definition.active, edit.at));
    }
    write_lines(connection, &keys, edit).await?;
    write_states(connection, fresh.iter().map(|(key, state)| (*key, state, None)).collect()).await?;
    let known: BTreeSet<MonitorKey> = slots.iter().map(|slot| slot.key).collect();
    let (back, new): (Vec<_>, Vec<_>) = fresh.iter().partition(|(key, _)| known.contains(key));
    for (key, state) in back {
        begin_interval(connection, *key, state.shown(), edit.at).await?;
    }
    write_first_intervals(connection, &new, edit.at).await?;
    Ok(Redefined { keys, fresh })
}

async fn read_slots(connection: &mut SqliteConnection) -> Result<Vec<Slot>, StoreError> {
    let rows = sqlx::query("SELECT key, id, kind, removed_at FROM monitors").fetch_all(connection).await;
    let slot = |row: &sqlx::sqlite::SqliteRow| {
        let removed_at: Option<i64> = row.get(3);
        Ok(Slot {
            key: key_from(row.get(0))?,
            id: row.get(1),
            kind: row.get(2),
            removed_at: removed_at.map(Timestamp::from_millis),
        })
    };
    rows.map_err(backend)?.iter().map(slot).collect()
}

/// Writes the rows of `monitors` that differ from what is wanted.
async fn write_lines(
    connection: &mut SqliteConnection,
    keys: &[MonitorKey],
    edit: &Redefine,
) -> Result<(), StoreError> {
    let mut wanted: BTreeMap<MonitorKey, (usize, &Wanted)> =
        keys.iter().zip(&edit.monitors).enumerate().map(|(n, (key, (_, wanted)))| (*key, (n, wanted))).collect();
    let mut changed = Vec::new();
    {
        let mut rows = sqlx::query(
            "SELECT key, id, kind, name, target, document, position FROM monitors WHERE removed_at IS NULL",
        )
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(backend)? {
            let line = Line {
                key: key_from(row.get(0))?,
                id: row.get(1),
                kind: row.get(2),
                name: row.get(3),
                target: row.get(4),
                document: row.get(5),
                position: row.get(6),
            };
            let differs = |(position, wanted): &(usize, &Wanted)| Line::wanted(line.key, *position, wanted) != line;
            changed.extend(wanted.remove(&line.key).filter(differs).map(|wanted| (line.key, wanted)));
        }
    }
    changed.extend(wanted);
    for some in changed.chunks(ROWS_PER_INSERT) {
        // Only these are held as rows: all of a large file would take as much memory again.
        let lines = some.iter().map(|(key, (position, wanted))| Line::wanted(*key, *position, wanted));
        let mut insert = QueryBuilder::new("INSERT INTO monitors (key, id, kind, name, target, document, position) ");
        insert.push_values(lines, |mut row, line| {
            row.push_bind(i64::from(line.key.0)).push_bind(line.id).push_bind(line.kind).push_bind(line.name);
            row.push_bind(line.target).push_bind(line.document).push_bind(line.position);
        });
        insert.push(
            " ON CONFLICT (key) DO UPDATE SET id = excluded.id, kind = excluded.kind, name = excluded.name,
              target = excluded.target, document = excluded.document, position = excluded.position,
              removed_at = NULL",
        );
        insert.build().execute(&mut *connection).await.map_err(backend)?;
    }
    Ok(())
}

/// The first intervals of monitors that never were: of 100,000, one statement each would take seconds.
async fn write_first_intervals(
    connection: &mut SqliteConnection,
    new: &[(&MonitorKey, &State)],
    at: Timestamp,
) -> Result<(), StoreError> {
    for some in new.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::new("INSERT INTO intervals (monitor, from_at, shown) ");
        insert.push_values(some, |mut row, (key, state)| {
            row.push_bind(i64::from(key.0)).push_bind(at.as_millis()).push_bind(state.shown().as_str());
        });
        insert.build().execute(&mut *connection).await.map_err(backend)?;
    }
    Ok(())
}

/// The interval that a fresh state begins, unless the last one shows the same already.
async fn begin_interval(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    shown: Shown,
    at: Timestamp,
) -> Result<(), StoreError> {
    cut_intervals(connection, monitor, at).await?;
    let last: Option<String> = sqlx::query_scalar(
        "SELECT shown FROM intervals WHERE monitor = ?1 AND from_at < ?2 ORDER BY from_at DESC LIMIT 1",
    )
    .bind(i64::from(monitor.0))
    .bind(at.as_millis())
    .fetch_optional(&mut *connection)
    .await
    .map_err(backend)?;
    if last.as_deref() == Some(shown.as_str()) {
        return Ok(());
    }
    write_interval(connection, monitor, shown, at).await
}

fn redefine_index(index: &mut Index, edit: &Redefine, redefined: &Redefined) {
    for key in &edit.removed {
        if let Some(held) = index.monitors.get_mut(key) {
            held.removed = true;
            held.definition = None;
        }
    }
    let mut added = BTreeMap::new();
    for (key, (_, wanted)) in redefined.keys.iter().zip(&edit.monitors) {
        let definition = Arc::new(Monitor { key: *key, definition: Arc::clone(&wanted.definition) });
        let fresh = redefined.fresh.get(key).cloned();
        match index.monitors.get_mut(key) {
            Some(held) => {
                held.removed = false;
                held.definition = Some(definition);
                held.state = fresh.unwrap_or_else(|| held.state.clone());
            }
            None => {
                let state = fresh.unwrap_or_else(|| State::fresh(definition.active, edit.at));
                let tail = Tail::new(*key, None);
                added.insert(*key, Held { removed: false, definition: Some(definition), state, newest: None, tail });
            }
        }
    }
    // Appended at once they fill the tree's nodes; one by one would leave half of each empty.
    index.monitors.append(&mut added);
    // Those that the edit does not name keep their place, as in the file: by position, then by key.
    let mut order: Vec<(usize, MonitorKey)> = redefined.keys.iter().copied().enumerate().collect();
    let named: BTreeSet<MonitorKey> = redefined.keys.iter().copied().collect();
    let left = index.order.iter().copied().enumerate().filter(|(_, key)| !named.contains(key));
    order.extend(left.filter(|(_, key)| index.monitors.get(key).is_some_and(|held| held.definition.is_some())));
    order.sort_unstable();
    index.order = order.into_iter().map(|(_, key)| key).collect();
    let id = |key: &MonitorKey| index.monitors.get(key).and_then(|held| held.definition.as_ref()).map(|m| m.id.clone());
    index.by_id = index.order.iter().filter_map(|key| id(key).map(|id| (id, *key))).collect();
}

impl Catalog for SqliteStore {
    fn each_known<'a>(&'a self, take: &'a mut (dyn FnMut(Known) + Send)) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let mut rows = sqlx::query(
                // Only the keys are sorted: SQLite would hold all documents to sort the rows.
                "WITH ordered AS MATERIALIZED
                   (SELECT key FROM monitors WHERE removed_at IS NULL ORDER BY position, key)
                 SELECT m.key, m.id, m.kind, m.name, m.target, m.document
                 FROM ordered CROSS JOIN monitors AS m ON m.key = ordered.key",
            )
            .fetch(&self.shared.readers);
            while let Some(row) = rows.try_next().await.map_err(backend)? {
                take(Known {
                    key: key_from(row.get(0))?,
                    id: MonitorId::new(row.get(1)),
                    kind: row.get(2),
                    name: row.get(3),
                    target: row.get(4),
                    document: document_from_text(row.get(5)).map_err(unreadable)?,
                });
            }
            Ok(())
        })
    }

    fn redefine(&self, edit: Redefine) -> BoxFuture<'_, Result<Vec<MonitorKey>, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.write(move |writer| Box::pin(writer.redefine(edit))).await
        })
    }
}
