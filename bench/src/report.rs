//! Rows, as a table and as JSON.

use serde::Serialize;

use crate::goals::Goal;

/// Median, least and most of a figure's runs.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Self { median, min: values[0], max: values[values.len() - 1] }
    }
}

/// More than this is better without end.
const RATIO_MAX: f64 = 1_000.0;

/// One result. The names of its fields are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub suite: &'static str,
    pub case: String,
    pub metric: &'static str,
    pub unit: &'static str,
    pub ours: f64,
    pub rival_name: &'static str,
    pub rival: f64,
    /// More than 1 means that ours is better, whatever the metric.
    pub ratio: f64,
    pub ours_min: f64,
    pub ours_max: f64,
    pub rival_min: f64,
    pub rival_max: f64,
    pub goal: Option<String>,
    pub met: Option<bool>,
}

/// What is measured and which way is better.
#[derive(Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub more_is_better: bool,
}

impl Row {
    pub fn new(
        suite: &'static str,
        case: &str,
        metric: Metric,
        ours: Spread,
        rival_name: &'static str,
        rival: Spread,
    ) -> Self {
        let (better, worse) = if metric.more_is_better { (ours, rival) } else { (rival, ours) };
        // Nothing cannot be beaten: zero against zero is even, zero against something is better without end.
        let ratio = match (better.median, worse.median) {
            (better, worse) if better == worse => 1.0,
            (better, worse) => (better / worse).min(RATIO_MAX),
        };
        let goal = crate::goals::of(suite, case, metric.name, rival_name);
        let met = goal.map(|goal| match goal {
            Goal::Ratio(least) => ratio >= least,
            Goal::AtMost(most) => ours.median <= most,
        });
        Self {
            suite,
            case: case.to_owned(),
            metric: metric.name,
            unit: metric.unit,
            ours: ours.median,
            rival_name,
            rival: rival.median,
            ratio,
            ours_min: ours.min,
            ours_max: ours.max,
            rival_min: rival.min,
            rival_max: rival.max,
            goal: goal.map(|goal| goal.to_string()),
            met,
        }
    }

    /// The row for people.
    pub fn line(&self) -> String {
        let verdict = match (self.met, &self.goal) {
            (Some(true), Some(goal)) => format!("{goal}: met"),
            (Some(false), Some(goal)) => format!("{goal}: MISSED"),
            _ => String::new(),
        };
        format!(
            "{:<72} {:<22} {:>11} {:<15} {:>11} {:>8.2}  {:>23} {:>23}  {verdict}",
            self.case,
            format!("{}, {}", self.metric, self.unit),
            short(self.ours),
            self.rival_name,
            short(self.rival),
            self.ratio,
            format!("{} … {}", short(self.ours_min), short(self.ours_max)),
            format!("{} … {}", short(self.rival_min), short(self.rival_max)),
        )
    }
}

/// The head of the table.
pub fn head() -> String {
    format!(
        "{:<72} {:<22} {:>11} {:<15} {:>11} {:>8}  {:>23} {:>23}  goal",
        "case", "metric", "ours", "rival", "rival's", "ratio", "ours, spread", "rival's, spread"
    )
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2} G", value / 1e9),
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.1} k", value / 1e3),
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Metric = Metric { name: "rate", unit: "messages/s", more_is_better: true };
    const COST: Metric = Metric { name: "memory", unit: "bytes", more_is_better: false };

    #[test]
    fn a_spread_has_its_median_least_and_most() {
        let spread = Spread::of([9.0, 1.0, 5.0]);
        assert_eq!((spread.median, spread.min, spread.max), (5.0, 1.0, 9.0));
        assert_eq!(Spread::of([4.0, 2.0]).median, 3.0);
    }

    #[test]
    fn a_ratio_above_one_always_means_that_ours_is_better() {
        let (two, one) = (Spread::of([2.0]), Spread::of([1.0]));
        assert_eq!(Row::new("none", "", RATE, two, "rival", one).ratio, 2.0);
        assert_eq!(Row::new("none", "", COST, one, "rival", two).ratio, 2.0);
        let zero = Spread::of([0.0]);
        assert_eq!(Row::new("none", "", COST, zero, "rival", zero).ratio, 1.0);
        assert!(Row::new("none", "", COST, zero, "rival", two).ratio > 1.0);
    }

    #[test]
    fn json_has_the_keys_that_others_read() {
        let row = Row::new("none", "case", RATE, Spread::of([2.0]), "rival", Spread::of([1.0]));
        let json = serde_json::to_value(row).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted =
            "suite case metric unit ours rival_name rival ratio ours_min ours_max rival_min rival_max goal met"
                .split(' ')
                .collect::<Vec<_>>();
        wanted.sort_unstable();
        assert_eq!(keys, wanted);
    }
}
