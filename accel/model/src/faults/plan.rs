//! What is to happen to which descriptor.

use super::dice::Dice;
use core::fmt;
use core::str::FromStr;
use pagepress_abi::{ErrorCode, Opcode, Status};

/// Something that can happen to a descriptor, or with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A page fault on what is read; a stall if the descriptor asked to wait.
    ReadFault,
    /// A page fault on what is written; a stall if the descriptor asked to
    /// wait.
    WriteFault,
    /// ENQCMD is refused this many times in a row; shared queues only.
    Retry(u32),
    /// The completion comes later by this many nanoseconds.
    Late {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// The completion does not come.
    Never,
    /// The completion comes after the next one.
    Reorder,
    /// The device halts with this and all other work in flight; after so many
    /// nanoseconds, if it says so, it is reset.
    Halt(Option<u64>),
    /// The queue is disabled with this and its other work in flight; after so
    /// many nanoseconds, if it says so, it is enabled.
    Disable(Option<u64>),
    /// This status and nothing written.
    Status(Status),
    /// This error code and nothing written.
    Error(ErrorCode),
    /// One bit of the output is wrong.
    Flip,
    /// A Compress is given up as if its data did not compress.
    EarlyAbort,
}

/// Which descriptors a rule is about, counted from 1 among those accepted (for
/// retries, among those submitted).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Each with this probability.
    Chance {
        /// So many
        of: u64,
        /// of so many.
        among: u64,
    },
    /// This one.
    Nth(u64),
    /// This one and all after it.
    From(u64),
}

/// One line of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// To descriptors of this operation only, if it says so.
    pub opcode: Option<Opcode>,
    /// When.
    pub when: When,
}

impl Rule {
    pub(super) fn applies(&self, n: u64, opcode: Opcode, dice: &mut Dice) -> bool {
        let when = match self.when {
            When::Always => true,
            When::Chance { of, among } => dice.roll() % among < of,
            When::Nth(nth) => n == nth,
            When::From(first) => n >= first,
        };
        when && self.opcode.is_none_or(|only| only == opcode)
    }
}

/// Rules, and the seed of what they leave to chance.
///
/// As text: rules separated by commas, `FAULT[:VALUE][/OPERATION][@WHEN]`, and
/// `seed:N`. Without a seed it is 0.
///
/// | fault | what |
/// |---|---|
/// | `read-fault`, `write-fault` | a page fault; a stall if the descriptor waits |
/// | `retry[:TIMES]` | ENQCMD refused, once or so many times in a row |
/// | `late:TIME[-TIME]` | a late completion |
/// | `never` | no completion |
/// | `reorder` | completed after the next one |
/// | `halt[:TIME]` | the device halts, for so long or for good |
/// | `disable[:TIME]` | the queue is disabled, likewise |
/// | `status:CODE` | this status, say 0x20 for a hardware error |
/// | `error:CODE` | status 0x0A with this error code |
/// | `flip` | a wrong bit in the output |
/// | `early-abort` | a Compress given up early |
///
/// TIME is a number with `ns`, `us`, `ms` or `s`. OPERATION is `compress`,
/// `decompress`, `crc64`, `noop` or `drain`. WHEN is `1/50` for a chance, `#7` for
/// the seventh descriptor, `#7+` for it and all after it; always, if not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they are asked: the first that says how a
    /// descriptor ends settles that, and so for when it does.
    pub rules: Vec<Rule>,
    /// For all that is left to chance.
    pub seed: u64,
}

/// What is wrong with a plan's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    rule: String,
    problem: &'static str,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault `{}`: {}", self.rule, self.problem)
    }
}

impl core::error::Error for PlanError {}

type Parsed<T> = Result<T, &'static str>;

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        for rule in text
            .split(',')
            .map(str::trim)
            .filter(|rule| !rule.is_empty())
        {
            let problem = |problem| PlanError {
                rule: rule.to_owned(),
                problem,
            };
            if let Some(seed) = rule.strip_prefix("seed:") {
                plan.seed = number(seed).map_err(problem)?;
            } else {
                plan.rules.push(parse_rule(rule).map_err(problem)?);
            }
        }
        Ok(plan)
    }
}

fn parse_rule(text: &str) -> Parsed<Rule> {
    let (text, when) = match text.split_once('@') {
        Some((text, when)) => (text, parse_when(when)?),
        None => (text, When::Always),
    };
    let (text, opcode) = match text.split_once('/') {
        Some((text, opcode)) => (text, Some(parse_opcode(opcode)?)),
        None => (text, None),
    };
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let fault = parse_fault(name, value)?;
    Ok(Rule {
        fault,
        opcode,
        when,
    })
}

fn parse_fault(name: &str, value: Option<&str>) -> Parsed<Fault> {
    let plain = |fault| match value {
        None => Ok(fault),
        Some(_) => Err("takes no value"),
    };
    let code = || {
        value
            .ok_or("needs a code, as in status:0x20")
            .and_then(byte)
    };
    let time = || value.map(parse_time).transpose();
    match name {
        "read-fault" => plain(Fault::ReadFault),
        "write-fault" => plain(Fault::WriteFault),
        "never" => plain(Fault::Never),
        "reorder" => plain(Fault::Reorder),
        "flip" => plain(Fault::Flip),
        "early-abort" => plain(Fault::EarlyAbort),
        "retry" => {
            let times = value.map_or(Ok(1), number)?;
            match u32::try_from(times) {
                Ok(times @ 1..) => Ok(Fault::Retry(times)),
                _ => Err("needs a number of times from 1 on"),
            }
        }
        "late" => {
            let value = value.ok_or("needs a time, as in late:20us or late:20us-5ms")?;
            let (least, most) = value.split_once('-').unwrap_or((value, value));
            let (least, most) = (parse_time(least)?, parse_time(most)?);
            if least > most {
                return Err("the first time is the shorter one");
            }
            Ok(Fault::Late { least, most })
        }
        "halt" => Ok(Fault::Halt(time()?)),
        "disable" => Ok(Fault::Disable(time()?)),
        "status" => match code()? {
            0 => Err("status 0 is that of a record that is not written"),
            status @ 1..=Status::MASK => Ok(Fault::Status(Status(status))),
            _ => Err("a status has 6 bits"),
        },
        "error" => Ok(Fault::Error(ErrorCode(code()?))),
        _ => Err(
            "there is no such fault; there are read-fault, write-fault, retry, late, never, \
                  reorder, halt, disable, status, error, flip, early-abort and seed",
        ),
    }
}

fn parse_when(text: &str) -> Parsed<When> {
    const HELP: &str = "after @ comes a chance as 1/50, or a descriptor as #7 or #7+";
    if let Some(nth) = text.strip_prefix('#') {
        let (nth, from) = match nth.strip_suffix('+') {
            Some(nth) => (nth, true),
            None => (nth, false),
        };
        let nth = number(nth).map_err(|_| HELP)?;
        return match nth {
            0 => Err("descriptors are counted from 1"),
            _ if from => Ok(When::From(nth)),
            _ => Ok(When::Nth(nth)),
        };
    }
    let (of, among) = text.split_once('/').ok_or(HELP)?;
    let (of, among) = (
        number(of).map_err(|_| HELP)?,
        number(among).map_err(|_| HELP)?,
    );
    if of > among || among == 0 {
        return Err("a chance is at most 1");
    }
    Ok(When::Chance { of, among })
}

fn parse_opcode(name: &str) -> Parsed<Opcode> {
    [
        Opcode::COMPRESS,
        Opcode::DECOMPRESS,
        Opcode::CRC64,
        Opcode::NOOP,
        Opcode::DRAIN,
    ]
    .into_iter()
    .find(|opcode| opcode.name() == Some(name))
    .ok_or("after / comes compress, decompress, crc64, noop or drain")
}

fn parse_time(text: &str) -> Parsed<u64> {
    const HELP: &str = "a time is a number with ns, us, ms or s";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(HELP),
    };
    let count = number(digits).map_err(|_| HELP)?;
    count
        .checked_mul(unit)
        .ok_or("so long a time cannot be told")
}

fn number(text: &str) -> Parsed<u64> {
    text.parse().map_err(|_| "not a number")
}

fn byte(text: &str) -> Parsed<u8> {
    let code = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16),
        None => text.parse(),
    };
    code.map_err(|_| "a code is a number up to 255, as 0x20 or 32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read() {
        let text = "flip/decompress@1/50, late:20us-5ms@#7+,halt@#1000,retry:3,status:0x20,seed:9";
        let rule = |fault, opcode, when| Rule {
            fault,
            opcode,
            when,
        };
        let late = Fault::Late {
            least: 20_000,
            most: 5_000_000,
        };
        let chance = When::Chance { of: 1, among: 50 };
        assert_eq!(
            text.parse(),
            Ok(Plan {
                rules: vec![
                    rule(Fault::Flip, Some(Opcode::DECOMPRESS), chance),
                    rule(late, None, When::From(7)),
                    rule(Fault::Halt(None), None, When::Nth(1000)),
                    rule(Fault::Retry(3), None, When::Always),
                    rule(Fault::Status(Status(0x20)), None, When::Always),
                ],
                seed: 9,
            })
        );
        assert_eq!("".parse(), Ok(Plan::default()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, problem) in [
            ("flop", "there is no such fault"),
            ("flip:1", "takes no value"),
            ("late", "needs a time"),
            ("late:20", "a time is a number with"),
            ("late:-5us", "a time is a number with"),
            ("late:5ms-20us", "the shorter one"),
            ("late:99999999999999999s", "cannot be told"),
            ("halt:x", "a time is a number with"),
            ("flip@3/2", "at most 1"),
            ("flip@0/0", "at most 1"),
            ("flip@often", "after @ comes"),
            ("flip@#0", "counted from 1"),
            ("flip/encrypt", "after / comes"),
            ("status:0", "not written"),
            ("status:0x83", "6 bits"),
            ("error:256", "up to 255"),
            ("retry:0", "from 1 on"),
            ("seed:", "not a number"),
        ] {
            let error = text.parse::<Plan>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
