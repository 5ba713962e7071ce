//! Line charts as SVG.

use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 160.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;

/// One line of a chart: a value for each second, `None` where there is none.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

/// A chart of lines over seconds; `unit` stands behind the numbers of the axis. Charts that are compared are
/// given the same `top`.
pub(super) fn chart(title: &str, unit: &str, top: f64, series: &[Series<'_>]) -> String {
    let seconds = series.iter().map(|one| one.values.len()).max().unwrap_or_default().max(2);
    let top = if top > 0.0 { top } else { 1.0 };
    let x = |second: usize| LEFT + (WIDTH - LEFT - 8.0) * second as f64 / (seconds - 1) as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value / top).min(1.0));
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    );
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let height = y(value);
        // Writing into a string cannot fail.
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}{unit}</text>",
            LEFT - 6.0,
            height + 3.5,
            short(value),
        );
    }
    for second in (0..seconds).step_by((seconds / 6).max(1)) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
            x(second),
            HEIGHT - 6.0
        );
    }
    for Series { name, class, values } in series {
        let _ = write!(
            svg,
            "<path class=\"{class}\" d=\"{}\"><title>{name}</title></path>",
            path(values, x, y)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A line through the values, broken where there is none.
fn path(values: &[Option<f64>], x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut pen_is_down = false;
    for (second, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen_is_down = false;
            continue;
        };
        let command = if pen_is_down { 'L' } else { 'M' };
        let _ = write!(path, "{command}{:.1} {:.1}", x(second), y(*value));
        // A single point shows as a dot only if a line of no length is drawn.
        if !pen_is_down {
            path.push_str("h0");
        }
        pen_is_down = true;
    }
    path
}

/// A number of at most three digits and a point.
fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 || v == 0.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        let values = [Some(1.0), None, Some(2.0), Some(3.0)];
        let drawn = path(&values, |second| second as f64, |value| value);
        assert_eq!(drawn, "M0.0 1.0h0M2.0 2.0h0L3.0 3.0");
    }

    #[test]
    fn a_chart_without_values_is_drawn() {
        let empty = Series { name: "none", class: "mean", values: Vec::new() };
        assert!(chart("Reads", " ms", 0.0, &[empty]).ends_with("</svg>"));
    }
}
