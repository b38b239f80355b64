//! Figures: what was measured in each round, what was aimed at, and how both are written.

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At least the first; the second is what we would like.
    AtLeast(f64, Option<f64>),
    /// At most the first; the second is what we would like.
    AtMost(f64, Option<f64>),
}

/// A line of the table. Each list has a value per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    /// What it is, with its unit.
    pub(crate) what: String,
    /// Watchpost's.
    pub(crate) ours: Vec<f64>,
    /// What they should be.
    pub(crate) aim: Option<Aim>,
    /// wrk's.
    pub(crate) wrk: Vec<f64>,
    /// blackbox_exporter's.
    pub(crate) blackbox: Vec<f64>,
    /// CPU that others used meanwhile, per cent of a core.
    pub(crate) foreign: Vec<f64>,
}

impl Figure {
    /// A line to be filled.
    pub(crate) fn new(what: impl Into<String>) -> Figure {
        Figure { what: what.into(), ..Figure::default() }
    }

    /// A line with an aim.
    pub(crate) fn aiming(what: impl Into<String>, aim: Aim) -> Figure {
        Figure { aim: Some(aim), ..Figure::new(what) }
    }

    /// Whether the aim was reached; `None` without one, or without a figure.
    pub(crate) fn hit(&self) -> Option<bool> {
        let value = median(&self.ours)?;
        Some(match self.aim? {
            Aim::AtLeast(must, _) => value >= must,
            Aim::AtMost(must, _) => value <= must,
        })
    }

    fn liked(&self) -> bool {
        match (self.aim, median(&self.ours)) {
            (Some(Aim::AtLeast(_, Some(like))), Some(value)) => value >= like,
            (Some(Aim::AtMost(_, Some(like))), Some(value)) => value <= like,
            _ => false,
        }
    }

    /// The cells of its line.
    pub(crate) fn cells(&self) -> [String; 7] {
        let aim = self.aim.map_or_else(String::new, |aim| match aim {
            Aim::AtLeast(must, like) => format!(">= {}", aimed(must, like)),
            Aim::AtMost(must, like) => format!("<= {}", aimed(must, like)),
        });
        let hit = match (self.hit(), self.liked()) {
            (Some(true), true) => "hit, [hit]",
            (Some(true), false) => "hit",
            (Some(false), _) => "**miss**",
            (None, _) if self.aim.is_some() => "not measured",
            (None, _) => "",
        };
        let foreign = median(&self.foreign).map_or_else(String::new, |share| format!("{share:.0} %"));
        [self.what.clone(), spread(&self.ours), aim, hit.to_owned(), spread(&self.wrk), spread(&self.blackbox), foreign]
    }
}

/// The heads of the cells.
pub(crate) const HEAD: [&str; 7] = ["figure", "Watchpost", "aim", "", "wrk", "blackbox_exporter", "others' CPU"];

/// A table as Markdown.
pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut lines = vec![line(&HEAD.map(str::to_owned)), "|---|---|---|---|---|---|---|".to_owned()];
    lines.extend(figures.iter().map(|figure| line(&figure.cells())));
    lines.join("\n") + "\n"
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn aimed(must: f64, like: Option<f64>) -> String {
    match like {
        Some(like) => format!("{} [{}]", shown(must), shown(like)),
        None => shown(must),
    }
}

/// The median, and the least and the most when there was more than one round.
fn spread(values: &[f64]) -> String {
    let Some(middle) = median(values) else { return "-".to_owned() };
    if values.len() == 1 {
        return shown(middle);
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} ({}..{})", shown(middle), shown(least), shown(most))
}

/// A number with three digits that matter, and thousands apart.
pub(crate) fn shown(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.0995 => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = match text.split_once('.') {
        Some((whole, rest)) => (whole.to_owned(), rest.trim_end_matches('0').to_owned()),
        None => (text, String::new()),
    };
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole.as_str()), |whole| ("-", whole));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    if rest.is_empty() { format!("{sign}{apart}") } else { format!("{sign}{apart}.{rest}") }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        _ => Some(sorted[middle]),
    }
}

/// The value that `share` (0..=1) of them do not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let written: Vec<String> = [12_345.6, 100.0, 99.0, 10.04, 1.5, 0.25, 0.0123, 0.0, -1_234.0].map(shown).into();
        assert_eq!(written, ["12,346", "100", "99", "10", "1.5", "0.25", "0.0123", "0", "-1,234"]);
    }

    #[test]
    fn the_median_decides_and_the_spread_is_shown() {
        let mut figure = Figure::aiming("x", Aim::AtMost(0.3, Some(0.25)));
        figure.ours = vec![0.5, 0.28, 0.2];
        assert_eq!(figure.cells()[1..4], ["0.28 (0.2..0.5)", "<= 0.3 [0.25]", "hit"].map(str::to_owned));
        figure.ours = vec![0.31];
        assert_eq!((figure.hit(), figure.cells()[3].as_str()), (Some(false), "**miss**"));
        figure.ours.clear();
        assert_eq!((figure.hit(), figure.cells()[3].as_str()), (None, "not measured"));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.99), quantile(&values, 0.5)), (Some(198.0), Some(100.0)));
        assert_eq!((quantile(&values, 1.0), quantile(&[], 0.5)), (Some(200.0), None));
        assert_eq!((median(&[3.0, 1.0]), median(&values)), (Some(2.0), Some(100.5)));
    }
}
