//! What others do with the same pages.
//!
//! | module | what |
//! |---|---|
//! | [`zram`] | a device of the kernel's compressed RAM disk |

mod zram;

use super::args::{Args, PeerArg};
use super::clock::cpu_time;
use super::cpus;
use super::figures::{self, AboveFloor, MmStat};
use super::host;
use super::input::{Input, PAGE, Reader};
use super::interrupt;
use super::memory::Aligned;
use super::plan::Settings;
use super::progress::{Bar, Progress};
use super::run::{Tools, WARM_UP_BYTES};
use super::timing::{self, Scale, Sum};
use super::worker::{Counts, Fault, Place, Tally};
use crate::error::Error;
use pagepress::page::{fill, same_filled};
use std::iter;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use zram::{Device, Disk, Places};

/// Pages that are written, then read, then compared: as the runs' loads.
const LOAD: usize = (256 << 10) / PAGE;

/// Refuses `--peer` where it cannot be, before any work is done.
///
/// # Errors
/// [`Error::Peer`].
pub(super) fn check(args: &Args) -> Result<(), Error> {
    if args.peer.is_empty() {
        return Ok(());
    }
    if rustix::param::page_size() != PAGE {
        return Err(Error::Peer {
            peer: PeerArg::Zram.name(),
            why: "this kernel's pages are not of 4 KiB, and so are not zram's".to_owned(),
        });
    }
    Places::of_this_machine().check()
}

/// The kernel's zram, found to work.
#[derive(Debug)]
pub(super) struct Zram {
    places: Places,
    algorithms: Vec<String>,
}

impl Zram {
    /// Tries each algorithm on a device of one page, if zram was asked for.
    ///
    /// # Errors
    /// [`Error::Peer`] if one does not work, [`Error::TooBig`] if the input is.
    pub(super) fn prepare(args: &Args, input: &Input) -> Result<Option<Self>, Error> {
        if args.peer.is_empty() {
            return Ok(None);
        }
        fits(bytes(input), host::meminfo("MemAvailable"))?;
        // From here on, a device must not be left behind.
        interrupt::flag();
        let places = Places::of_this_machine();
        let mut device = Device::add(&places)?;
        let algorithms = device.algorithms()?;
        for algorithm in &algorithms {
            device.set_up(algorithm, PAGE as u64)?;
            let disk = device.open()?;
            disk.clear(PAGE as u64)?;
            device.reset(disk)?;
        }
        Ok(Some(Self { places, algorithms }))
    }

    /// Makes all repeats of all algorithms, in turn, by one thread.
    ///
    /// # Errors
    /// If the device fails, or a source cannot be read any more.
    pub(super) fn measure(
        &self,
        settings: &Settings,
        input: &Input,
        tools: &Tools,
        progress: &Progress,
        interrupted: &AtomicBool,
    ) -> Result<figures::Peer, Error> {
        let unpinned = |source| Error::Worker { worker: 0, source };
        let body = || {
            if settings.pin {
                let cpus = cpus::allowed().map_err(unpinned)?;
                cpus::pin_this_thread(cpus[0]).map_err(unpinned)?;
            }
            self.take_turns(settings, input, tools, progress, interrupted)
        };
        thread::scope(|scope| {
            let worker = thread::Builder::new().name("zram".to_owned());
            let worker = worker.spawn_scoped(scope, body).map_err(unpinned)?;
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn take_turns(
        &self,
        settings: &Settings,
        input: &Input,
        tools: &Tools,
        progress: &Progress,
        interrupted: &AtomicBool,
    ) -> Result<figures::Peer, Error> {
        let mut device = Device::add(&self.places)?;
        // The floor first; it needs no codec, whichever is set.
        let contents = iter::once((Content::SameFilled, &self.algorithms[0]));
        let contents = contents.chain(self.algorithms.iter().map(|name| (Content::Input, name)));
        let mut sessions: Vec<Session<'_>> = contents
            .map(|(content, algorithm)| Session::new(content, algorithm, settings, input, tools))
            .collect();
        let turns = sessions.len() * settings.repeats;
        let bar = progress.runs(turns);
        'all: for repeat in 0..settings.repeats {
            for (number, session) in sessions.iter_mut().enumerate() {
                if interrupted.load(Ordering::Relaxed) {
                    break 'all;
                }
                let turn = repeat * (self.algorithms.len() + 1) + number;
                bar.run(
                    turn,
                    format!("zram {} ({} of {turns})", session.name(), turn + 1),
                );
                session.repeat(&mut device, interrupted, &bar, turn)?;
            }
        }
        drop(bar);
        let mut runs: Vec<_> = sessions.iter().map(Session::figures).collect();
        let floor = runs.remove(0);
        let mut algorithms: Vec<_> = runs.into_iter().flatten().collect();
        for run in &mut algorithms {
            run.above_floor = floor.as_ref().map(|floor| AboveFloor::of(run, floor));
        }
        Ok(figures::Peer {
            peer: PeerArg::Zram.name(),
            unit_size: PAGE,
            threads: 1,
            algorithms_asked: self.algorithms.len(),
            floor,
            algorithms,
        })
    }
}

fn bytes(input: &Input) -> u64 {
    input.figures.pages * PAGE as u64
}

/// At worst, no page shrinks.
fn fits(bytes: u64, available: Option<u64>) -> Result<(), Error> {
    let room = available.map_or(u64::MAX, |available| available / 2);
    if bytes <= room {
        return Ok(());
    }
    Err(Error::TooBig {
        what: "--peer zram".to_owned(),
        why: format!(
            "the input has {} MiB, which zram would hold in memory, where there is room for {}; \
             name less",
            bytes >> 20,
            room >> 20
        ),
    })
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Input,
    /// As many pages, each of which repeats one word: what remains is the way to
    /// the codec and back.
    SameFilled,
}

/// One row under way: what all its repeats have found so far.
#[derive(Debug)]
struct Session<'a> {
    content: Content,
    algorithm: &'a str,
    settings: &'a Settings,
    input: &'a Input,
    tools: &'a Tools,
    all: Tally,
    stat: Option<MmStat>,
    store: Vec<Sum>,
    load: Vec<Sum>,
    passes: u64,
    seconds: f64,
}

impl<'a> Session<'a> {
    fn new(
        content: Content,
        algorithm: &'a str,
        settings: &'a Settings,
        input: &'a Input,
        tools: &'a Tools,
    ) -> Self {
        Self {
            content,
            algorithm,
            settings,
            input,
            tools,
            all: Tally::new(),
            stat: None,
            store: Vec::with_capacity(settings.repeats),
            load: Vec::with_capacity(settings.repeats),
            passes: 0,
            seconds: 0.0,
        }
    }

    fn name(&self) -> &str {
        match self.content {
            Content::Input => self.algorithm,
            Content::SameFilled => "floor",
        }
    }

    /// Makes one repeat, of whole passes. One that is interrupted is forgotten.
    fn repeat(
        &mut self,
        device: &mut Device,
        interrupted: &AtomicBool,
        bar: &Bar,
        turn: usize,
    ) -> Result<(), Error> {
        let bytes = bytes(self.input);
        device.set_up(self.algorithm, bytes)?;
        let disk = device.open()?;
        let mut writer = Writer::new(self, &disk);
        let mut whole = writer.pass((WARM_UP_BYTES / PAGE) as u64, interrupted, |_| {})?;
        writer.tally = Tally::new();

        let time = self.settings.seconds.div_f64(self.settings.repeats as f64);
        let (start, mut passes, mut stat) = (Instant::now(), 0, None);
        let mut fastest = [Sum::default(); 2];
        let mut so_far = fastest;
        while whole {
            // The last pass's pages would have to be freed by this one's stores.
            disk.clear(bytes)?;
            let progress = |part: f64| {
                let part = if passes == 0 { part } else { 1.0 };
                bar.set(turn, part.min(share(start.elapsed(), time)));
            };
            whole = writer.pass(u64::MAX, interrupted, progress)?;
            if !whole {
                break;
            }
            passes += 1;
            let now = [writer.tally.compress.sum(), writer.tally.decompress.sum()];
            for ((fastest, now), so_far) in fastest.iter_mut().zip(now).zip(so_far) {
                fastest.keep_faster(now.since(so_far));
            }
            so_far = now;
            if stat.is_none() {
                stat = Some(device.mm_stat()?);
            }
            if start.elapsed() >= time {
                break;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let mut tally = writer.tally;
        device.reset(disk)?;
        if whole {
            // Counts are of one pass.
            tally.first.pages /= passes;
            tally.first.dropped /= passes;
            if self.passes > 0 {
                tally.first = Counts::default();
            }
            self.store.push(fastest[0]);
            self.load.push(fastest[1]);
            self.all.merge(tally);
            self.stat = self.stat.or(stat);
            self.passes += passes;
            self.seconds += seconds;
        }
        Ok(())
    }

    /// What was found; `None` before the first repeat is over.
    fn figures(&self) -> Option<figures::PeerRun> {
        let stat = self.stat?;
        let tally = &self.all;
        let scale = Scale {
            threads: 1,
            unit: PAGE,
            ticks: &self.tools.ticks,
            timestamp_ns: self.tools.timestamp_ns,
        };
        let by = |bytes: u64| stat.orig_data_size as f64 / bytes as f64;
        let share = |pages: u64| pages as f64 / tally.first.pages as f64;
        Some(figures::PeerRun {
            algorithm: self.algorithm.to_owned(),
            pages: tally.first.pages,
            dropped_same_filled: tally.first.dropped,
            ratio: by(stat.compr_data_size),
            effective_ratio: by(stat.mem_used_total),
            same_filled_share: share(stat.same_pages),
            incompressible_share: stat.huge_pages.map(share),
            mm_stat: stat,
            passes: self.passes,
            seconds: self.seconds,
            store: timing::figures(&tally.compress, &self.store, scale),
            load: timing::figures(&tally.decompress, &self.load, scale),
            above_floor: None,
            verified: tally.bad.is_empty(),
            bad_pages: tally.bad.len() as u64,
            first_bad: tally.bad.first_key_value().map(|(place, fault)| {
                let label = self.input.sources[place.source].label();
                format!("page {} of {label} {fault}", place.unit)
            }),
        })
    }
}

/// How much of the time is over. All of it where there is none.
fn share(elapsed: Duration, time: Duration) -> f64 {
    let share = elapsed.as_secs_f64() / time.as_secs_f64();
    if share.is_nan() { 1.0 } else { share }
}

/// Writes pages to a device, reads them back and compares. Only the calls that
/// write and read are timed.
struct Writer<'a> {
    content: Content,
    skip_same_filled: bool,
    input: &'a Input,
    tools: &'a Tools,
    disk: &'a Disk,
    pages: Aligned,
    rooms: Aligned,
    places: Vec<Place>,
    laps: Vec<u64>,
    tally: Tally,
}

impl<'a> Writer<'a> {
    fn new(session: &Session<'a>, disk: &'a Disk) -> Self {
        Self {
            content: session.content,
            skip_same_filled: session.settings.skip_same_filled,
            input: session.input,
            tools: session.tools,
            disk,
            pages: Aligned::zeroed(LOAD * PAGE),
            rooms: Aligned::zeroed(LOAD * PAGE),
            places: Vec::with_capacity(LOAD),
            laps: Vec::with_capacity(LOAD + 1),
            tally: Tally::new(),
        }
    }

    /// Goes through the input once, or `most` pages of it. False if interrupted.
    fn pass(
        &mut self,
        most: u64,
        interrupted: &AtomicBool,
        progress: impl Fn(f64),
    ) -> Result<bool, Error> {
        let input = self.input;
        let mut reader = Reader::new(&input.sources);
        let all = most.min(input.figures.pages);
        let sources = input.sources.iter().enumerate();
        let places = sources.flat_map(|(source, data)| {
            let units = data.len().div_ceil(PAGE as u64);
            (0..units).map(move |unit| Place { source, unit })
        });
        let (mut seen, mut slot) = (0, 0);
        for place in places.take(usize::try_from(all).unwrap_or(usize::MAX)) {
            let at = self.places.len() * PAGE;
            let page = &mut self.pages.as_mut()[at..at + PAGE];
            seen += 1;
            match self.content {
                Content::SameFilled => fill(page, seen),
                Content::Input => {
                    reader.copy(place.source, place.unit * PAGE as u64, page)?;
                }
            }
            let drop = self.content == Content::Input && self.skip_same_filled;
            if drop && same_filled(page).is_some() {
                self.tally.first.dropped += 1;
                continue;
            }
            self.places.push(place);
            if self.places.len() == LOAD {
                if interrupted.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                slot += self.flush(slot)?;
                progress(seen as f64 / all as f64);
            }
        }
        self.flush(slot)?;
        Ok(!interrupted.load(Ordering::Relaxed))
    }

    /// Has the pages that were copied in written from this slot on, read and
    /// compared. Returns how many.
    fn flush(&mut self, slot: u64) -> Result<u64, Error> {
        let (count, ticks) = (self.places.len(), &self.tools.ticks);
        let pages = &self.pages.as_ref()[..count * PAGE];
        let rooms = &mut self.rooms.as_mut()[..count * PAGE];
        // What is not read must not look as if it were.
        for (room, byte) in rooms.iter_mut().zip(pages) {
            *room = !byte;
        }
        let fail = |doing: &str, error: &std::io::Error| Error::Peer {
            peer: PeerArg::Zram.name(),
            why: format!("{doing} a page: {}", crate::error::describe(error)),
        };
        let offset = |index: usize| (slot + index as u64) * PAGE as u64;
        let laps = &mut self.laps;

        laps.clear();
        let cpu = cpu_time();
        laps.push(ticks.now());
        for (index, page) in pages.chunks_exact(PAGE).enumerate() {
            let written = self.disk.file.write_all_at(page, offset(index));
            laps.push(ticks.now());
            written.map_err(|error| fail("writing", &error))?;
        }
        let cpu = cpu_time() - cpu;
        let each = || iter::repeat_n(1, count);
        self.tally.compress.add_laps(laps, each(), cpu, ticks);

        laps.clear();
        let cpu = cpu_time();
        laps.push(ticks.now());
        for (index, room) in rooms.chunks_exact_mut(PAGE).enumerate() {
            let read = self.disk.file.read_exact_at(room, offset(index));
            laps.push(ticks.now());
            read.map_err(|error| fail("reading", &error))?;
        }
        let cpu = cpu_time() - cpu;
        self.tally.decompress.add_laps(laps, each(), cpu, ticks);

        let both = pages.chunks_exact(PAGE).zip(rooms.chunks_exact(PAGE));
        for (place, (page, room)) in self.places.drain(..).zip(both) {
            if let Some(at) = (0..PAGE)
                .find(|&at| page[at] != room[at])
                .filter(|_| page != room)
            {
                self.tally.bad.entry(place).or_insert(Fault::Differs(at));
            }
        }
        self.tally.first.pages += count as u64;
        Ok(count as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::input::Source;
    use std::fs::OpenOptions;
    use std::path::Path;

    /// One pass over 150 pages in two sources, of which every tenth is zeroes, with
    /// `path` in place of a device.
    fn pass(content: Content, path: &Path, skip_same_filled: bool) -> Result<Tally, Error> {
        let page = |number: usize| match number % 10 {
            0 => vec![0; PAGE],
            _ => [vec![0; number], vec![number as u8; PAGE - number]].concat(),
        };
        let mut bytes: Vec<u8> = (0..150).flat_map(page).collect();
        let second = bytes.split_off(70 * PAGE);
        let sources = vec![
            Source::in_memory("first", bytes),
            Source::in_memory("second", second),
        ];
        let figures = figures::Input {
            pages: 150,
            ..figures::Input::default()
        };
        let input = Input { sources, figures };
        let settings = Settings {
            seconds: Duration::ZERO,
            repeats: 1,
            skip_same_filled,
            pin: false,
        };
        let file = OpenOptions::new().read(true).write(true).open(path);
        let disk = Disk {
            file: file.unwrap(),
        };
        let tools = Tools::new();
        let session = Session::new(content, "none", &settings, &input, &tools);
        let mut writer = Writer::new(&session, &disk);
        let whole = writer.pass(u64::MAX, &AtomicBool::new(false), |_| {})?;
        assert!(whole);
        Ok(writer.tally)
    }

    #[test]
    fn all_pages_are_written_and_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pages = || {
            let bytes = std::fs::read(file.path()).unwrap();
            let pages: Vec<_> = bytes.chunks(PAGE).map(<[u8]>::to_vec).collect();
            pages
        };
        let tally = pass(Content::Input, file.path(), true).unwrap();
        assert_eq!((tally.first.pages, tally.first.dropped), (135, 15));
        assert!(tally.bad.is_empty());
        // What is written stands side by side.
        assert_eq!(pages().len(), 135);
        assert!(pages().iter().all(|page| same_filled(page).is_none()));

        let tally = pass(Content::SameFilled, file.path(), true).unwrap();
        assert_eq!((tally.first.pages, tally.first.dropped), (150, 0));
        assert!(pages().iter().all(|page| same_filled(page).is_some()));
    }

    #[test]
    fn what_comes_back_changed_is_found() {
        // It takes everything, and gives zeroes.
        let tally = pass(Content::Input, Path::new("/dev/zero"), false).unwrap();
        assert_eq!((tally.first.pages, tally.bad.len()), (150, 135));
        let (source, unit) = (1, 55);
        let fault = tally.bad.get(&Place { source, unit });
        assert_eq!(fault, Some(&Fault::Differs(70 + 55)));
        let (source, unit) = (1, 60);
        assert_eq!(tally.bad.get(&Place { source, unit }), None);
        // It takes everything, and gives nothing.
        let why = pass(Content::Input, Path::new("/dev/null"), false).unwrap_err();
        assert!(why.to_string().starts_with("--peer zram: reading a page: "));
        let why = pass(Content::Input, Path::new("/dev/full"), false).unwrap_err();
        assert!(why.to_string().starts_with("--peer zram: writing a page: "));
    }

    #[test]
    fn half_of_the_memory_is_room() {
        assert!(fits(1 << 30, Some(2 << 30)).is_ok());
        assert!(fits(1 << 40, None).is_ok());
        let told = fits((1 << 30) + 4096, Some(2 << 30))
            .unwrap_err()
            .to_string();
        assert!(
            told.starts_with("--peer zram: the input has 1024 MiB"),
            "{told}"
        );
    }
}
