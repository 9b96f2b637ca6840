//! Where one contender spends its time under this load, by `perf`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::contenders::{Contender, Who};
use crate::{load, measure, settings};

/// How long is looked at it.
const SPAN: Duration = Duration::from_secs(10);

/// Records the server of the contender of this name, and prints what takes most of its time.
pub(crate) fn profile(contenders: &BTreeMap<Who, Contender>, wanted: &str) {
    let found = contenders.iter().find(|(who, _)| who.name() == wanted);
    let Some((_, Contender::Http(contender))) = found else {
        let names: Vec<_> = contenders.keys().map(|who| who.name()).collect();
        panic!("PROFILE is one of these, asked over HTTP: {names:#?}");
    };
    let data = settings::run_dir().join("perf.data");
    let mut perf = Command::new("perf")
        .args("record --quiet -F 499 --call-graph dwarf,8192 --output".split(' '))
        .arg(&data)
        .args(["--pid", &contender.server.id().to_string()])
        .args(["--", "sleep", &SPAN.as_secs().to_string()])
        .spawn()
        .unwrap();
    load::as_fast_as_answered(contender.site(), measure::THREADS, SPAN);
    assert!(perf.wait().unwrap().success(), "perf cannot record");
    println!("what itself takes most:");
    show(&data, ["--no-children", "--fields=overhead,sym"]);
    println!("what takes most with all that it calls:");
    show(&data, ["--children", "--fields=overhead_children,sym"]);
}

fn show(data: &Path, order: [&str; 2]) {
    let shown = Command::new("perf")
        .args("report --stdio --call-graph none --percent-limit 1".split(' '))
        .args(order)
        .arg("--input")
        .arg(data)
        .status()
        .unwrap();
    assert!(shown.success(), "perf cannot report");
}
