//! The report as one HTML page, without scripts and without anything from elsewhere.

use std::fmt::Write;

use super::svg::{Series, chart};
use super::{Report, Totals};
use crate::lab::model::{Side, Window};

const STYLE: &str = include_str!("report.css");
/// Reads or writes of a window.
type SideOf = fn(&Window) -> &Side;
const SIDES: [(&str, SideOf); 2] =
    [("Reads", |window| &window.read), ("Writes", |window| &window.write)];

/// The page of one run: a section for each job, the charts under the same axes.
#[must_use]
pub fn page(reports: &[Report]) -> String {
    let tops = Tops::of(reports);
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>storefront lab: report</title><style>",
    );
    page.push_str(STYLE);
    page.push_str("</style></head><body><h1>storefront lab: report</h1>");
    page.push_str(
        "<p>Open loop: transactions fall due by the clock, whether or not the database keeps up, and the time \
         of each runs from when it was due. Percentiles are of one second each; the largest of them is \
         named, not their mean.</p>",
    );
    page.push_str("<main>");
    for report in reports {
        page.push_str(&section(report, &tops));
    }
    page.push_str("</main>");
    if let Some(report) = reports.first() {
        page.push_str(&recipe(report));
    }
    page.push_str("</body></html>\n");
    page
}

/// The tops of the axes, the same in all charts of one kind.
struct Tops {
    milliseconds: f64,
}

impl Tops {
    fn of(reports: &[Report]) -> Self {
        let windows = reports.iter().flat_map(|report| &report.windows);
        let times = windows.flat_map(|window| [window.read.p99, window.write.p99]).flatten();
        Self { milliseconds: times.fold(0.0, f64::max) * 1e3 * 1.05 }
    }
}

fn section(report: &Report, tops: &Tops) -> String {
    let job = &report.job;
    let mut html = format!("<section><h2>{}</h2><p>", escaped(&job.database.name));
    let _ = write!(
        html,
        "{}, size {}, intensity {}, read pattern {}, write pattern {}, {} s.",
        job.target,
        job.database_size,
        job.intensity,
        job.read_pattern,
        job.write_pattern,
        job.seconds
    );
    if job.database.stand_in {
        html.push_str(" An embedded database in place of the real one.");
    }
    if job.database.shared_machine {
        html.push_str(" It ran on the machine of the lab, and shared it with the driver.");
    }
    html.push_str("</p>");
    if !job.valid {
        let why = job.why.as_deref().unwrap_or("no reason is known");
        let _ = write!(html, "<p class=\"invalid\">Not valid: {}</p>", escaped(why));
    }
    for (name, side) in SIDES {
        html.push_str(&side_of(report, name, side, tops));
    }
    html.push_str("</section>");
    html
}

fn side_of(report: &Report, name: &str, side: fn(&Window) -> &Side, tops: &Tops) -> String {
    let sides: Vec<&Side> = report.windows.iter().map(side).collect();
    let totals = Totals::of(sides.iter().copied());
    let ms =
        |seconds: Option<f64>| seconds.map_or("none".to_owned(), |s| format!("{:.2} ms", s * 1e3));
    let mut html = format!(
        "<h3>{name}</h3><p class=\"numbers\">offered {}, ok {}, failed {}, not sent {} ({:.2} % failed); \
         mean {}, largest p99 of a second {}</p>",
        totals.offered,
        totals.ok,
        totals.failed,
        totals.unsent,
        totals.failure_percent(),
        ms(totals.mean),
        ms(totals.worst_p99),
    );
    let series = |name, class, value: fn(&Side) -> Option<f64>| Series {
        name,
        class,
        values: sides.iter().map(|side| value(side)).collect(),
    };
    let times = [
        series("mean", "mean", |side| side.average_latency.map(|s| s * 1e3)),
        series("p99", "p99", |side| side.p99.map(|s| s * 1e3)),
    ];
    html.push_str("<figure>");
    html.push_str(&chart(&format!("{name}: mean and p99 time"), " ms", tops.milliseconds, &times));
    html.push_str(
        "<figcaption><i class=\"mean\"></i> mean <i class=\"p99\"></i> p99</figcaption></figure>",
    );
    let failures = [series("failed", "failed", |side| Some(side.failure_percent))];
    html.push_str("<figure>");
    html.push_str(&chart(&format!("{name}: share that failed"), " %", 100.0, &failures));
    html.push_str("<figcaption><i class=\"failed\"></i> failed or not sent</figcaption></figure>");
    html.push_str(&table(name, &report.windows, side));
    html
}

fn table(name: &str, windows: &[Window], side: fn(&Window) -> &Side) -> String {
    let mut html = format!(
        "<details><summary>{name} as a table</summary><table><tr><th>second<th>offered<th>ok<th>failed\
         <th>not sent<th>mean ms<th>p50 ms<th>p95 ms<th>p99 ms<th>errors</tr>"
    );
    for window in windows {
        let side = side(window);
        let ms = |s: Option<f64>| s.map_or(String::new(), |s| format!("{:.2}", s * 1e3));
        let errors: Vec<String> =
            side.errors.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            window.second,
            side.offered,
            side.ok,
            side.failed,
            side.unsent,
            ms(side.average_latency),
            ms(side.p50),
            ms(side.p95),
            ms(side.p99),
            escaped(&errors.join(", ")),
        );
    }
    html.push_str("</table></details>");
    html
}

/// What is needed to repeat the run.
fn recipe(report: &Report) -> String {
    let job = &report.job;
    let machine = serde_json::to_string(&report.machine).unwrap_or_default();
    let started = job.started_at.map_or("never".to_owned(), |at| at.to_string());
    format!(
        "<h2>Recipe</h2><dl><dt>storefront<dd>{}<dt>started<dd>{started}<dt>keys<dd>{}<dt>rate scale<dd>{}\
         <dt>seed<dd>{}<dt>machine<dd>{}</dl>",
        report.version,
        escaped(&job.keys),
        job.rate_scale,
        job.seed,
        escaped(&machine),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
