//! `storefront bench`: measurements in the terminal.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testkit::process::{output, signal, stderr, stdout, storefront, wait};

/// The command in a folder of the test, where its temporary files are too.
fn bench(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = storefront(folder);
    command.env("TMPDIR", folder).args(["bench", "--rows", "100"]).args(arguments);
    command
}

fn measured(folder: &Path, arguments: &[&str]) -> Output {
    output(&mut bench(folder, arguments))
}

fn json(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join("out.json")).unwrap()).unwrap()
}

/// Names of what is in a folder, ascending.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The numbers of a run, whatever the machine does to its validity.
fn side<'a>(row: &'a serde_json::Value, side: &str) -> &'a serde_json::Value {
    assert_eq!(row["seconds"], 1, "{row}");
    &row[side]
}

#[test]
fn without_a_database_the_stand_ins_are_measured_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--seconds",
        "1",
        "--patterns",
        "1-2,2-1",
        "--rate-scale",
        "0.2",
        "--json",
        "out.json",
        "--csv",
        "out.csv",
    ];
    let output = measured(folder.path(), &arguments);
    let text = stdout(&output);
    let rows = json(folder.path())["matrix"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2 * 3, "{text} {}", stderr(&output));
    for (row, database) in rows.iter().zip(["sql", "sqlrep", "spanner"].into_iter().cycle()) {
        assert_eq!(row["database"], database);
        let (read, write) = (side(row, "read"), side(row, "write"));
        let of = |pattern: &serde_json::Value| pattern.as_u64().unwrap() * 20;
        assert_eq!(read["offered"], of(&row["read_pattern"]));
        assert_eq!(write["offered"], of(&row["write_pattern"]));
        assert_eq!(
            read["ok"].as_u64().unwrap() + read["failed"].as_u64().unwrap(),
            of(&row["read_pattern"])
        );
        assert!(write["p99"].as_f64().unwrap() > 0.0, "{row}");
    }
    let invalid = rows.iter().filter(|row| !row["invalid"].is_null()).count();
    assert_eq!(output.status.code(), Some(i32::from(invalid > 0)), "{text} {}", stderr(&output));
    let lines = text.lines().filter(|line| line.contains(" reads ") || line.contains(" writes "));
    assert_eq!(lines.count(), 2 * 2 * 3, "{text}");
    let csv = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 2 * 3, "{csv}");
    assert!(stderr(&output).contains("6/6 spanner"), "{}", stderr(&output));
    assert_eq!(files(folder.path()), ["out.csv", "out.json"]);
}

#[test]
fn each_run_pays_orders_that_are_unpaid() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--seconds",
        "1",
        "--patterns",
        "1-1,1-1,1-1",
        "--database",
        "a=embedded:d/a.db",
        "--json",
        "out.json",
    ];
    let output = measured(folder.path(), &arguments);
    for row in json(folder.path())["matrix"].as_array().unwrap() {
        let write = side(row, "write");
        assert_eq!(
            (&write["offered"], &write["failed"]),
            (&100.into(), &0.into()),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(files(&folder.path().join("d")), [] as [&str; 0]);
}

#[test]
fn the_driver_alone_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let output = measured(
        folder.path(),
        &["--seconds", "1", "--patterns", "2-2", "--database", "floor=dry"],
    );
    let text = stdout(&output);
    assert!(text.contains("floor: no database: the driver's own cost\n"), "{text}");
    let line = text.lines().find(|line| line.contains(" reads ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[..8], ["floor", "2-2", "1", "reads", "200", "200", "0.00", "0"], "{text}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn the_knee_is_found_or_what_stands_in_the_way_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // One transaction may be under way: whatever the machine, some rate is too high.
    let output = measured(
        folder.path(),
        &[
            "--knee",
            "--slo",
            "p99<2s,failed<5%",
            "--seconds",
            "1",
            "--in-flight",
            "1",
            "--rate-scale",
            "1",
            "--database",
            "a=embedded:a.db",
            "--json",
            "out.json",
        ],
    );
    let text = stdout(&output);
    let found = &json(folder.path())["knee"];
    assert_eq!(found["objective"], "p99<2s,failed<5%");
    let knee = &found["databases"][0];
    assert_eq!(knee["complete"], true, "{text}");
    let probes = knee["probes"].as_array().unwrap();
    let scale = |value: &serde_json::Value| value["rate_scale"].as_f64().unwrap();
    let bound = scale(&knee["bound"]);
    assert!(!knee["bound"]["why"].as_str().unwrap().is_empty());
    match knee["holds"].as_object() {
        Some(_) => {
            let holds = scale(&knee["holds"]);
            assert!(holds < bound && bound / holds <= 1.0501, "{text}");
            assert!(text.contains(" transactions/s hold p99<2s,failed<5% (scale "), "{text}");
            assert_eq!(output.status.code(), Some(0));
        }
        None => assert_eq!(output.status.code(), Some(1), "{text}"),
    }
    let at_bound =
        probes.iter().filter(|probe| scale(probe) == bound && !probe["broken"].is_null());
    assert!(at_bound.count() >= 2, "a probe is confirmed: {text}");
    assert_eq!(text.lines().count(), probes.len() + 6, "{text}");
}

#[test]
fn a_comparison_is_calibrated_and_says_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let output = measured(
        folder.path(),
        &[
            "--compare",
            "slow",
            "dry",
            "--rounds",
            "2",
            "--seconds",
            "1",
            "--database",
            "dry=dry",
            "--database",
            "unused=embedded:unused.db",
            "--database",
            "slow=embedded:slow.db",
            "--json",
            "out.json",
        ],
    );
    let text = stdout(&output);
    let compared = &json(folder.path())["compare"];
    let metrics = compared["metrics"].as_array().unwrap();
    let names: Vec<&str> = metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    let expected =
        ["reads mean", "reads p50", "reads p99", "writes mean", "writes p50", "writes p99"];
    assert_eq!(names, expected);
    assert_eq!(compared["calibration"].as_array().unwrap().len(), 2);
    let rounds = compared["rounds"].as_array().unwrap();
    // Whichever ran first, A is the first of its pair.
    assert!(
        rounds.iter().all(|pair| pair[0]["database"] == "slow" && pair[1]["database"] == "dry")
    );
    assert!(text.contains("slow/dry") && text.contains("slow/slow"), "{text}");
    for metric in metrics {
        let finding = metric["finding"].as_str().unwrap();
        let known = ["no_difference_shown", "a_faster", "b_faster", "not_calibrated", "too_few"];
        assert!(known.contains(&finding), "{finding}");
    }
    assert_eq!(files(folder.path()), ["out.json"], "what is not compared is not opened");
}

#[test]
fn stopped_by_ctrl_c_it_prints_what_it_has_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        bench(folder.path(), &["--seconds", "2", "--patterns", "all", "--rate-scale", "0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    // The first run has ended, and the second one is under way.
    assert!(lines.any(|line| line.starts_with("1/27 sql ")));
    signal(child.id(), "INT");
    let said: Vec<String> = lines.collect();
    let mut text = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut text).unwrap();
    assert_eq!(wait(&mut child).code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("storefront: stopped; ")), "{said:?}");
    assert!(
        text.lines().any(|line| line.starts_with("sql ") && line.contains(" reads ")),
        "{text}"
    );
    assert_eq!(files(folder.path()), [] as [&str; 0]);
}

#[test]
fn stopped_while_it_fills_databases_it_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        bench(folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("sql: creating")));
    signal(child.id(), "TERM");
    let said: Vec<String> = lines.collect();
    assert_eq!(wait(&mut child).code(), Some(130), "{said:?}");
    assert_eq!(files(folder.path()), [] as [&str; 0]);
}

#[test]
fn a_database_that_cannot_be_opened_leaves_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = testkit::process::free_address();
    let url = format!("b=postgres://u:secret@{nobody}/d");
    let output = measured(folder.path(), &["--database", "a=embedded:d/a.db", "--database", &url]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("b cannot be prepared") && !said.contains("secret"), "{said}");
    assert_eq!(files(&folder.path().join("d")), [] as [&str; 0]);
}

#[test]
fn impossible_arguments_are_usage_errors_without_a_password() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, why) in [
        (&["--knee"][..], "--slo"),
        (&["--slo", "p99<1s"], "--knee"),
        (&["--knee", "--slo", "p99=1s"], "no `<`"),
        (&["--knee", "--slo", "p99<1s", "--patterns", "all"], "measure one load"),
        (&["--matrix", "--knee", "--slo", "p99<1s"], "cannot be used with"),
        (&["--compare", "a"], "2 values"),
        (
            &["--compare", "sql", "other"],
            "no database is named other; there are sql, sqlrep, spanner",
        ),
        (&["--compare", "sql", "sql"], "name two databases"),
        (&["--rounds", "3"], "--compare"),
        (&["--patterns", "4-1"], "patterns 1 to 3"),
        (&["--database", "a=dry", "--database", "a=dry"], "two are named a"),
        (&["--database", "a=mysql://u:secret@h/d"], "--database: a: "),
        (&["--database", "postgres://u:secret@h/d"], "NAME=URL"),
    ] {
        let output = measured(folder.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments:?} {said}");
        assert!(said.contains(why) && !said.contains("secret"), "{arguments:?} {said}");
    }
    assert_eq!(files(folder.path()), [] as [&str; 0]);
}
