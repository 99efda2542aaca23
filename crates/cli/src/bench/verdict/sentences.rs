//! The judgement in words.

use super::{BreakEven, MEASURES, Measure, Outcome, Point, Way, distinct, is_device, is_software};
use crate::bench::figures::Run;

pub(super) fn all(runs: &[Run], break_even: &[BreakEven]) -> Vec<String> {
    let mut sentences = Vec::new();
    let is_named = |run: &Run| matches!(run.backend, "iaa" | "model" | "model-gen2");
    let asked = |run: &&Run| is_named(run) || is_device(run);
    let devices = distinct(runs.iter().filter(asked).map(Run::name));
    for device in &devices {
        let runs: Vec<&Run> = runs.iter().filter(|run| run.name() == *device).collect();
        let compared: Vec<&BreakEven> = break_even
            .iter()
            .filter(|it| it.device == *device)
            .collect();
        of_device(&mut sentences, device, &runs, &compared);
    }
    if devices.is_empty() {
        of_software(&mut sentences, runs);
    }
    let wrong = distinct(runs.iter().filter(|run| !run.verified).map(Run::name));
    if !wrong.is_empty() && !sentences.is_empty() {
        sentences.push(format!(
            "Runs of {} are left out of this where pages did not come back as they were.",
            list(&wrong)
        ));
    }
    sentences
}

fn of_device(sentences: &mut Vec<String>, device: &str, runs: &[&Run], compared: &[&BreakEven]) {
    let believed: Vec<&&Run> = runs.iter().filter(|run| run.verified).collect();
    let done = || {
        believed
            .iter()
            .flat_map(|run| [&run.calls.compress, &run.calls.decompress])
    };
    let software: u64 = done().map(|done| done.software_pages).sum();
    let pages: u64 = done().map(|done| done.pages).sum();
    let modelled = believed.iter().any(|run| run.is_modelled());
    let mut facts = Vec::new();
    if modelled {
        facts.push("modelled".to_owned());
    }
    if software > 0 {
        facts.push(format!("{software} of {pages} pages by software"));
    }
    let label = if facts.is_empty() {
        device.to_owned()
    } else {
        format!("{device} ({})", facts.join(", "))
    };
    if believed.is_empty() {
        // The sentence on wrong runs, and the note on each, say it.
        return;
    }
    if !believed.iter().any(|run| is_device(run)) {
        sentences.push(format!(
            "{label}: nothing of it was done by a device, so it is not compared."
        ));
        return;
    }
    if compared.is_empty() {
        sentences.push(format!(
            "{label}: no software run has its unit size and threads, so it is not compared."
        ));
    }
    for (measure, title) in [
        (Measure::NsPerPage, "Time per page"),
        (Measure::CpuSecondsPerGb, "CPU time per GB"),
        (
            Measure::BytesSavedPerCpuSecond,
            "Memory saved per CPU second",
        ),
    ] {
        let clauses: Vec<String> = MEASURES
            .iter()
            .filter(|(of, _)| *of == measure)
            .filter_map(|&(_, way)| Some((way, clause(compared, measure, way)?)))
            .enumerate()
            .map(|(n, (way, clause))| {
                let doing = match way {
                    Way::Compress => "compressing",
                    Way::Decompress => "decompressing",
                };
                let who = if n == 0 { &label } else { "it" };
                format!("{doing}: {who} {clause}")
            })
            .collect();
        if !clauses.is_empty() {
            sentences.push(format!("{title}, {}.", clauses.join("; ")));
        }
    }
    if modelled {
        sentences.push(format!(
            "{device} is modelled: a software model on this CPU took a device's place, so none of this is \
             a device's speed."
        ));
    }
}

/// What one measure says of all rivals, such as `beats lz4 from batch 8 on
/// and does not beat zstd:1`.
fn clause(compared: &[&BreakEven], measure: Measure, way: Way) -> Option<String> {
    let here: Vec<&BreakEven> = compared
        .iter()
        .copied()
        .filter(|it| (it.measure, it.direction) == (measure, way))
        .collect();
    let mut wins: Vec<(String, Vec<String>)> = Vec::new();
    let (mut losses, mut untold) = (Vec::new(), Vec::new());
    for software in distinct(here.iter().map(|it| &it.software)) {
        let places: Vec<&BreakEven> = here
            .iter()
            .copied()
            .filter(|it| it.software == *software)
            .collect();
        match where_better(&places) {
            Some(place) => match wins.iter_mut().find(|(known, _)| *known == place) {
                Some((_, names)) => names.push(software.clone()),
                None => wins.push((place, vec![software.clone()])),
            },
            None if points(&places).all(|point| point.outcome == Outcome::Undecided) => {
                untold.push(software.clone());
            }
            None => losses.push(software.clone()),
        }
    }
    let mut parts: Vec<String> = wins
        .iter()
        .map(|(place, names)| format!("beats {} {place}", list(names)))
        .collect();
    if !losses.is_empty() {
        parts.push(format!("does not beat {}", joined(&losses, "or")));
    }
    if !untold.is_empty() {
        parts.push(format!(
            "shows no difference to be told from {}",
            list(&untold)
        ));
    }
    (!parts.is_empty()).then(|| list(&parts))
}

fn points<'a>(places: &'a [&'a BreakEven]) -> impl Iterator<Item = &'a Point> {
    places.iter().flat_map(|place| &place.points)
}

/// Where a device is better, in words; `None` if nowhere.
fn where_better(places: &[&BreakEven]) -> Option<String> {
    let all = points(places).count();
    let better: Vec<&Point> = points(places)
        .filter(|point| point.outcome == Outcome::Better)
        .collect();
    let batches = distinct(better.iter().map(|point| point.batch.to_string()));
    let n = better.len();
    Some(match places {
        _ if n == 0 => return None,
        [one] if all == 1 => format!("at batch {}", one.points[0].batch),
        [_] if n == all => "at every batch measured".to_owned(),
        [one] if one.from_batch.is_some() && suffix(one) == n => {
            format!("from batch {} on", batches[0])
        }
        [_] => format!("at batch {} only", list(&batches)),
        _ if n == all => "in every setting measured".to_owned(),
        _ => format!("in {n} of {all} settings measured"),
    })
}

/// The points at the end that are all better.
fn suffix(one: &BreakEven) -> usize {
    let better = |point: &&Point| point.outcome == Outcome::Better;
    one.points.iter().rev().take_while(better).count()
}

/// The best of each codec against the best of the others.
fn of_software(sentences: &mut Vec<String>, runs: &[Run]) {
    let software = || runs.iter().filter(|run| is_software(run));
    // Larger units and more threads are other questions.
    let Some((unit, threads)) = software().map(|run| (run.unit_size, run.threads)).min() else {
        return;
    };
    let runs: Vec<&Run> = software()
        .filter(|run| (run.unit_size, run.threads) == (unit, threads))
        .collect();
    let names = distinct(runs.iter().map(|run| run.name()));
    if names.len() < 2 {
        return;
    }
    let mut parts = Vec::new();
    for (measure, way, what) in [
        (Measure::NsPerPage, Way::Compress, "compresses fastest"),
        (Measure::NsPerPage, Way::Decompress, "decompresses fastest"),
        (
            Measure::BytesSavedPerCpuSecond,
            Way::Compress,
            "saves most memory per CPU second",
        ),
    ] {
        if let Some(name) = best(&runs, &names, measure, way) {
            parts.push(format!("{name} {what}"));
        }
    }
    let kept = |name: &&String| {
        let of = runs.iter().filter(|run| run.name() == **name);
        of.map(|run| run.compressed_bytes).min().unwrap_or(u64::MAX)
    };
    let least = names.iter().map(|name| kept(&name)).min();
    let smallest: Vec<String> = names
        .iter()
        .filter(|name| Some(kept(name)) == least)
        .cloned()
        .collect();
    parts.push(format!("{} keeps the pages smallest", list(&smallest)));
    let plural = if threads == 1 { "" } else { "s" };
    sentences.push(format!(
        "Of the software measured, each at its best batch ({} KiB pages, {threads} thread{plural}): {}.",
        unit / 1024,
        list(&parts)
    ));
}

/// The one codec that is better than each other, by more than the spread.
fn best(runs: &[&Run], names: &[String], measure: Measure, way: Way) -> Option<String> {
    let best_of = |name: &String| {
        let of: Vec<&Run> = runs
            .iter()
            .copied()
            .filter(|run| run.name() == *name)
            .collect();
        super::best(&of, measure, way)
    };
    let champion = super::best(runs, measure, way)?;
    let others = names.iter().filter(|name| **name != champion.name());
    let beaten = |name: &String| {
        best_of(name).is_none_or(|other| {
            super::point(champion, other, measure, way).outcome == Outcome::Better
        })
    };
    others.clone().all(beaten).then(|| champion.name())
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[String]) -> String {
    joined(names, "and")
}

fn joined(names: &[String], word: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {word} {last}", most.join(", ")),
    }
}
