//! Judgements of one candidate, and of all together.

use super::{Link, LinkName, Status};

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

/// The link that candidates make together, and advice on those that it is
/// broken for while it holds for others.
pub(super) fn together(name: LinkName, judged: &[(String, Verdict)]) -> (Link, Vec<String>) {
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
    let told: Vec<&(String, Verdict)> = judged
        .iter()
        .filter(|(_, verdict)| if good { verdict.is_good() } else { true })
        .collect();
    let mut fix: Vec<String> = Vec::new();
    if status != Status::Ok {
        for command in told.iter().flat_map(|(_, verdict)| &verdict.fix) {
            if !fix.contains(command) {
                fix.push(command.clone());
            }
        }
    }
    let failed: Vec<&(String, Verdict)> = judged
        .iter()
        .filter(|(_, verdict)| good && !verdict.is_good())
        .collect();
    let advice = grouped(&failed).into_iter().map(|(labels, verdict)| {
        let mend = match verdict.fix.first() {
            Some(command) => format!("; mend it with: {command}"),
            None => String::new(),
        };
        format!("{labels}: {}{mend}", verdict.found)
    });
    let found = grouped(&told).into_iter();
    let found: Vec<String> = found
        .map(|(labels, verdict)| format!("{labels}: {}", verdict.found))
        .collect();
    (
        Link::probed(name, status, found.join("; "), fix),
        advice.collect(),
    )
}

/// Candidates of which the same was found, together.
fn grouped<'a>(judged: &[&'a (String, Verdict)]) -> Vec<(String, &'a Verdict)> {
    let mut groups: Vec<(Vec<&str>, &Verdict)> = Vec::new();
    for (label, verdict) in judged {
        match groups
            .iter_mut()
            .find(|(_, other)| other.found == verdict.found)
        {
            Some((labels, _)) => labels.push(label),
            None => groups.push((vec![label], verdict)),
        }
    }
    let joined = |labels: Vec<&str>| match labels.len() {
        0..=8 => labels.join(", "),
        more => format!("{} and {} more", labels[..6].join(", "), more - 6),
    };
    groups
        .into_iter()
        .map(|(labels, verdict)| (joined(labels), verdict))
        .collect()
}
