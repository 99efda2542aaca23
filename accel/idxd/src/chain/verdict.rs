//! Judgements of one candidate, and of all together.

use super::{Link, LinkName, Status, fix};

/// How a link is for one device or queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) found: String,
    pub(super) fix: Vec<String>,
}

impl Verdict {
    fn new(status: Status, found: impl Into<String>) -> Self {
        Self {
            status,
            found: found.into(),
            fix: Vec::new(),
        }
    }

    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self::new(Status::Ok, found)
    }

    pub(super) fn broken(found: impl Into<String>) -> Self {
        Self::new(Status::Broken, found)
    }

    pub(super) fn degraded(found: impl Into<String>) -> Self {
        Self::new(Status::Degraded, found)
    }

    pub(super) fn skipped(found: impl Into<String>) -> Self {
        Self::new(Status::Skipped, found)
    }

    pub(super) fn unknown(found: impl Into<String>) -> Self {
        Self::new(Status::Unknown, found)
    }

    /// With what mends it.
    pub(super) fn with(mut self, fix: impl IntoIterator<Item = String>) -> Self {
        self.fix.extend(fix);
        self
    }

    pub(super) fn is_good(&self) -> bool {
        matches!(self.status, Status::Ok | Status::Degraded)
    }
}

/// More candidates than are named when there is nothing to say of single ones.
const MANY: usize = 4;

/// A device or queue, by its label, and the judgement of it.
pub(super) type Judged = (String, Verdict);

/// The link that candidates make together, and advice on those that it is
/// broken for while it holds for others.
pub(super) fn together(name: LinkName, judged: &[Judged]) -> (Link, Vec<String>) {
    let any = |status| judged.iter().any(|(_, verdict)| verdict.status == status);
    let good = judged.iter().any(|(_, verdict)| verdict.is_good());
    let status = [
        Status::Ok,
        Status::Degraded,
        Status::Broken,
        Status::Unknown,
    ]
    .into_iter()
    .find(|&status| any(status))
    .unwrap_or(Status::Unknown);
    // What is told are the candidates that decided.
    let (told, failed): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .partition(|(_, verdict)| !good || verdict.is_good());
    let fix = match status {
        Status::Ok => Vec::new(),
        _ => commands(&told),
    };
    let found: Vec<String> = grouped(&told)
        .into_iter()
        .map(|group| {
            let whole = group.len() == judged.len() && group.len() > MANY;
            let who = match (whole, group[0].0.contains('/')) {
                (false, _) => labels(&group),
                (true, false) => format!("all {} devices", group.len()),
                (true, true) => format!("all {} work queues", group.len()),
            };
            format!("{who}: {}", group[0].1.found)
        })
        .collect();
    let link = Link::probed(name, status, found.join("; "), fix);
    (link, advise(&failed))
}

/// What is to be said of candidates, and what mends it.
pub(super) fn advise(judged: &[&Judged]) -> Vec<String> {
    let advice = |group: Vec<&Judged>| {
        let commands = commands(&group);
        let commands: Vec<&str> = commands
            .iter()
            .filter(|command| !command.starts_with('#'))
            .map(|command| fix::without_remark(command))
            .collect();
        let mend = match commands.is_empty() {
            true => String::new(),
            false => format!("; mend it with: {}", commands.join("; ")),
        };
        format!("{}: {}{mend}", labels(&group), group[0].1.found)
    };
    grouped(judged).into_iter().map(advice).collect()
}

/// What mends all of them, the same commands for several devices as loops.
fn commands(judged: &[&Judged]) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, &[String])> = Vec::new();
    for (label, verdict) in judged {
        let id = id(label);
        match groups.iter_mut().find(|(_, fix)| *fix == verdict.fix) {
            Some((ids, _)) if ids.contains(&id) => {}
            Some((ids, _)) => ids.push(id),
            None => groups.push((vec![id], &verdict.fix)),
        }
    }
    let mut commands: Vec<String> = Vec::new();
    for (ids, fix) in groups {
        for command in fix {
            let command = fix::for_all(command, &ids);
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    commands
}

/// The number of the device that a label is about.
fn id(label: &str) -> &str {
    let device = label.split('/').next().unwrap_or_default();
    device.trim_start_matches("iax")
}

/// Candidates of which the same was found, together.
fn grouped<'a>(judged: &[&'a Judged]) -> Vec<Vec<&'a Judged>> {
    let mut groups: Vec<Vec<&Judged>> = Vec::new();
    for &one in judged {
        match groups.iter_mut().find(|g| g[0].1.found == one.1.found) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn labels(group: &[&Judged]) -> String {
    let labels: Vec<&str> = group.iter().map(|(label, _)| label.as_str()).collect();
    match labels.len() {
        0..=8 => labels.join(", "),
        more => format!("{} and {} more", labels[..6].join(", "), more - 6),
    }
}
