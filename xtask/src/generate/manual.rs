//! A page of the documentation as a man page: the part of Markdown that our pages use.

use clap_mangen::roff::{Inline, Roff, bold, roman};

const NAME: &str = "watchpost.yml - configuration of watchpost";

/// The whole page. What comes before the first heading of the second level is the description.
pub(super) fn page(markdown: &str, version: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["watchpost.yml", "5", "", &format!("watchpost {version}"), "Watchpost"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(NAME)]);
    roff.control("SH", ["DESCRIPTION"]);
    for block in blocks(markdown) {
        write(&mut roff, &block);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("watchpost"), roman("(1), "), bold("watchpost-config"), roman("(1)")]);
    roff.render()
}

/// Lines as they are, indented.
pub(super) fn verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

/// A part of a page that is written in one way.
#[derive(Debug, PartialEq, Eq)]
enum Block<'a> {
    Heading {
        level: usize,
        text: &'a str,
    },
    Paragraph(Vec<&'a str>),
    Item(Vec<&'a str>),
    Code(Vec<&'a str>),
    /// Rows of cells, the head first.
    Table(Vec<Vec<&'a str>>),
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut lines = markdown.lines();
    let mut apart = true;
    while let Some(line) = lines.next() {
        if line.starts_with("```") && !line[3..].contains('`') {
            found.push(Block::Code(lines.by_ref().take_while(|line| !line.starts_with("```")).collect()));
            apart = true;
        } else if line.trim().is_empty() {
            apart = true;
        } else if let Some((level, text)) = heading(line) {
            found.push(Block::Heading { level, text });
            apart = true;
        } else if line.starts_with('|') {
            match found.last_mut() {
                Some(Block::Table(rows)) if !apart => rows.push(cells(line)),
                _ => found.push(Block::Table(vec![cells(line)])),
            }
            apart = false;
        } else if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
            found.push(Block::Item(vec![item]));
            apart = false;
        } else {
            match found.last_mut() {
                Some(Block::Paragraph(text) | Block::Item(text)) if !apart => text.push(line.trim()),
                _ => found.push(Block::Paragraph(vec![line])),
            }
            apart = false;
        }
    }
    found
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    text.strip_prefix(' ').filter(|_| level > 0).map(|text| (level, text))
}

/// A row's cells: between bars, those in code apart.
fn cells(row: &str) -> Vec<&str> {
    let inside = row.trim().trim_start_matches('|').trim_end_matches('|');
    let (mut cells, mut begin, mut code) = (Vec::new(), 0, false);
    for (at, letter) in inside.char_indices() {
        match letter {
            '`' => code = !code,
            '|' if !code => {
                cells.push(inside[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    cells.push(inside[begin..].trim());
    cells
}

fn write(roff: &mut Roff, block: &Block<'_>) {
    match block {
        // The title, and the list of contents with its links into the page.
        Block::Heading { level: 1, .. } => {}
        Block::Item(text) if text[0].contains("](#") => {}
        Block::Heading { level: 2, text } => roff_heading(roff, "SH", &text.to_uppercase()),
        Block::Heading { text, .. } => roff_heading(roff, "SS", text),
        Block::Paragraph(text) => {
            roff.control("PP", []);
            roff.text(inline(&text.join(" ")));
        }
        Block::Item(text) => {
            roff.control("IP", ["\\(bu", "2"]);
            roff.text(inline(&text.join(" ")));
        }
        Block::Code(lines) => verbatim(roff, lines.iter().copied()),
        Block::Table(rows) => table(roff, rows),
    }
}

fn roff_heading(roff: &mut Roff, control: &str, text: &str) {
    roff.control(control, [text.replace('`', "").as_str()]);
}

/// A row is an entry: the first cell on its own line, below it the last, and those between under their heads' names.
fn table(roff: &mut Roff, rows: &[Vec<&str>]) {
    let Some((head, rows)) = rows.split_first() else { return };
    for row in rows.iter().filter(|row| !row.iter().all(|cell| cell.trim_matches(['-', ':']).is_empty())) {
        let Some((first, rest)) = row.split_first() else { continue };
        roff.control("TP", []);
        roff.text(inline(first));
        let Some((last, between)) = rest.split_last() else { continue };
        let named = head.iter().skip(1).zip(between).filter(|(_, cell)| !cell.is_empty());
        let mut told: Vec<String> = named.map(|(name, cell)| format!("{name}: {cell}.")).collect();
        match (head.last(), last.is_empty()) {
            (Some(name), false) if !name.is_empty() && *name != "meaning" => told.push(format!("{name}: {last}.")),
            (_, false) => told.insert(0, format!("{}.", last.trim_end_matches('.'))),
            (_, true) => {}
        }
        roff.text(inline(&told.join(" ")));
    }
}

/// Code and what is bold become bold; of links the text stays.
fn inline(text: &str) -> Vec<Inline> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, from) = rest.split_at(at);
        push(&mut found, before, false);
        let taken = code(from).or_else(|| strong(from)).or_else(|| link(from));
        match taken {
            Some((inner, after)) if from.starts_with('[') => {
                found.extend(inline(inner));
                rest = after;
            }
            Some((inner, after)) => {
                push(&mut found, inner, true);
                rest = after;
            }
            None => {
                push(&mut found, &from[..1], false);
                rest = &from[1..];
            }
        }
    }
    push(&mut found, rest, false);
    found
}

fn push(into: &mut Vec<Inline>, text: &str, strong: bool) {
    if !text.is_empty() {
        into.push(if strong { bold(text) } else { roman(text) });
    }
}

/// What is between a run of backticks and the next of the same length, and what follows.
fn code(text: &str) -> Option<(&str, &str)> {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let (mark, after) = text.split_at(ticks);
    let end = (ticks > 0).then(|| after.find(mark)).flatten()?;
    Some((after[..end].trim(), &after[end + ticks..]))
}

fn strong(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("**")?.split_once("**")
}

/// A link's text, and what follows its target. Text in brackets that is no link is none.
fn link(text: &str) -> Option<(&str, &str)> {
    let (label, after) = text.strip_prefix('[')?.split_once("](")?;
    let (_, after) = after.split_once(')')?;
    (!label.contains(']')).then_some((label, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_pages_are_written_in_becomes_what_man_reads() {
        let markdown = "# Title\n\nSee `a` and\n[the file](#file).\n\n* [`log`](#log): skipped,\n  too\n\n## The file\n\n\
                        | key | default | |\n|---|---|---|\n| `level` | `info` | `a|b`, or [x](y.md) |\n\n\
                        ```yaml\n.a: \\1\n```\n";
        let page = page(markdown, "1.2.3");
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        let (body, _) = body.split_once(".SH \"SEE ALSO\"").unwrap();
        assert_eq!(
            body,
            ".PP\nSee \\fBa\\fR and the file.\n.SH \"THE FILE\"\n.TP\n\\fBlevel\\fR\n\
             \\fBa|b\\fR, or x. default: \\fBinfo\\fR.\n.PP\n.RS 4\n.nf\n\\&.a: \\\\1\n.fi\n.RE\n"
        );
    }

    #[test]
    fn marks_that_are_no_marks_stay() {
        let shown: String = Roff::new().text(inline("2 * 3, [a, b], `x")).to_roff();
        assert_eq!(shown, "2 * 3, [a, b], `x\n");
    }
}
