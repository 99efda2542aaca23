//! Every order in which a lane and its device may come: whose is the memory, and
//! what becomes of each page. The lane is the one that ships; loom stands in for
//! atomics, locks and memory, and the device's threads write whenever they like.

mod rig;

use super::{Format, Lane, Reason, Verify};
use crate::dma::device as memory;
use crate::fleet::Link;
use crate::probe;
use crate::pulse::Pulse;
use crate::recipe::Base;
use crate::single::Failure;
use core::time::Duration;
use loom::thread;
use rig::{AllTold, PATIENCE, Rig, Sink, Told, UNIT, When, compress, decompress, explore, pages};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

const DONE: Option<Told> = Some(Told::Done);
const GONE: Option<Told> = Some(Told::Failed(Reason::Gone));
const LATE: Option<Told> = Some(Told::Failed(Reason::Timeout));
/// Longer than a queue is put aside for.
const ASIDE: Duration = Duration::from_secs(20);

/// What the device wrote is what a sink is shown, and stays so while it looks.
#[test]
fn pages_are_shown_as_they_were_written() {
    type Run = fn(&mut Lane, &[[u8; UNIT]], Sink) -> AllTold;
    let runs: [(Run, Sink); 3] = [
        (compress, Sink::Goes),
        (compress, Sink::Lingers),
        (decompress, Sink::Lingers),
    ];
    for (run, sink) in runs {
        explore(&["done"], move || {
            let rig = Rig::new(None, 1);
            rig.clock.stand(true);
            let mut lane = rig.lane(2);
            let told = run(&mut lane, &pages::<3>(1), sink);
            assert_eq!(told, [DONE; 3]);
            drop(lane);
            assert_eq!((rig.leaked(), rig.end()), (0, 0));
            "done"
        });
    }
}

/// Codes are made of what one pass wrote, read by the next, and what that one
/// wrote is read by the one that verifies it.
#[test]
fn passes_of_a_page_follow_each_other() {
    explore(&["done"], || {
        let rig = Rig::new(None, 1);
        rig.clock.stand(true);
        let mut lane = rig.lane_for(1, Format::Dynamic, Verify::Every(1));
        assert_eq!(
            compress(&mut lane, &pages::<1>(1), Sink::Lingers),
            [DONE; 1]
        );
        drop(lane);
        assert_eq!((rig.leaked(), rig.end()), (0, 0));
        "done"
    });
}

/// With one slot, a page that is late costs the lane its memory, and the next
/// page gets other memory unless the slot was found.
#[test]
fn a_page_is_told_of_once_around_its_deadline() {
    let ends = ["in time", "late at first", "late then", "late twice"];
    explore(&ends, || {
        let rig = Rig::new(None, 1);
        let mut lane = rig.lane(1);
        let bytes = lane.device_bytes();
        let first = compress(&mut lane, &pages::<1>(1), Sink::Goes);
        let second = compress(&mut lane, &pages::<1>(2), Sink::Goes);
        drop(lane);
        let leaked = rig.leaked();
        assert!([0, bytes as u64, 2 * bytes as u64].contains(&leaked));
        let device = rig.device.clone();
        let mapped = rig.end();
        // What leaked is mapped, and the tables that the device reads.
        assert_eq!(mapped > leaked as usize, leaked > 0);
        device.finish();
        match (first[0], second[0]) {
            (DONE, DONE) => "in time",
            (LATE, DONE) => "late at first",
            (DONE, LATE) => "late then",
            (LATE, LATE) => "late twice",
            other => panic!("{other:?}"),
        }
    });
}

/// With two slots, the one that was lost is taken up again only once it was
/// answered; what was late is not taken for another page's.
#[test]
fn a_lost_slot_is_found_again() {
    for format in [Format::Fixed, Format::Dynamic] {
        let ends = ["found", "lost", "none lost"];
        explore(&ends, move || {
            let rig = Rig::new(None, 1);
            let mut lane = rig.lane_for(2, format, Verify::Off);
            rig.device.pages(&[When::AnyTime; 2]);
            rig.device.pages(&[When::AtOnce; 3]);
            let first = compress(&mut lane, &pages::<1>(1), Sink::Goes);
            let was_lost = lane.lost != 0;
            assert_eq!(was_lost, first == [LATE]);
            rig.clock.stand(true);
            let told = compress(&mut lane, &pages::<2>(2), Sink::Goes);
            assert_eq!(told, [DONE; 2]);
            let is_lost = lane.lost != 0;
            drop(lane);
            rig.device.finish();
            match (was_lost, is_lost) {
                (true, false) => "found",
                (true, true) => "lost",
                _ => "none lost",
            }
        });
    }
}

/// A lane that is dropped frees what the device is done with, and nothing else.
#[test]
fn memory_outlives_whatever_may_write_it() {
    explore(&["freed", "leaked"], || {
        let rig = Rig::new(None, 1);
        // One slot more than pages: the lane needs no other memory.
        let mut lane = rig.lane(3);
        let bytes = lane.device_bytes();
        compress(&mut lane, &pages::<2>(1), Sink::Goes);
        drop(lane);
        let leaked = rig.leaked();
        let device = rig.device.clone();
        let mapped = rig.end();
        device.finish();
        if leaked == 0 {
            assert_eq!(mapped, 0);
            return "freed";
        }
        assert_eq!(leaked, bytes as u64);
        assert!(mapped > bytes);
        "leaked"
    });
}

/// What never comes stays, unless a Drain says that it will not come.
#[test]
fn a_drain_frees_what_never_comes() {
    explore(&["freed", "leaked"], || {
        let rig = Rig::new(None, 1);
        let mut lane = rig.lane(2);
        rig.device.pages(&[When::Never]);
        rig.device.questions(&[When::AtOnce]);
        let told = compress(&mut lane, &pages::<1>(1), Sink::Goes);
        assert_eq!(told, [LATE]);
        let asking = {
            let (fleet, clock) = (Arc::clone(&rig.fleet), Arc::clone(&rig.clock));
            thread::spawn(move || {
                let link = &fleet.links()[0];
                link.put_aside(&*clock);
                clock.pass(ASIDE);
                link.is_usable(&*clock)
            })
        };
        drop(lane);
        let answered = asking.join().expect("an answer");
        rig.device.finish();
        let leaked = rig.leaked();
        let mapped = rig.end();
        if leaked == 0 {
            assert!(answered);
            assert_eq!(mapped, 0);
            return "freed";
        }
        assert!(mapped > leaked as usize);
        "leaked"
    });
}

/// A sink that has had enough, or panics, while another page flies.
#[test]
fn a_sink_that_stops_leaves_a_lane_to_use() {
    for sink in [Sink::Breaks, Sink::Panics] {
        explore(&["clean", "leaked"], move || {
            let rig = Rig::new(None, 1);
            let mut lane = rig.lane(2);
            rig.device.pages(&[When::AtOnce, When::AnyTime]);
            let batch = AssertUnwindSafe(|| compress(&mut lane, &pages::<2>(1), sink));
            match catch_unwind(batch) {
                Ok(told) => assert_eq!((sink, told[1]), (Sink::Breaks, None)),
                Err(index) => assert_eq!(index.downcast_ref(), Some(&0_usize)),
            }
            assert_eq!((lane.flying, lane.waiting), (0, 0));
            rig.clock.stand(true);
            let told = compress(&mut lane, &pages::<1>(3), Sink::Goes);
            assert_eq!(told, [DONE]);
            rig.clock.stand(false);
            drop(lane);
            let leaked = rig.leaked();
            let device = rig.device.clone();
            assert_eq!(rig.end() > 0, leaked > 0);
            device.finish();
            if leaked > 0 { "leaked" } else { "clean" }
        });
    }
}

fn all_credits(link: &Link) -> u32 {
    let free = link.take_credits(u32::MAX);
    link.return_credits(free);
    free
}

/// Entries that no lane has found come back by a Drain.
fn ask_for_all(rig: &Rig, entries: u32) {
    let link = &rig.fleet.links()[0];
    if all_credits(link) < entries {
        assert!(rig.leaked() > 0);
        rig.device.questions(&[When::AtOnce]);
        link.put_aside(&*rig.clock);
        rig.clock.pass(ASIDE);
        assert!(link.is_usable(&*rig.clock));
    }
    assert_eq!(all_credits(link), entries);
}

fn on_a_thread(mut lane: Lane, first: u8) -> thread::JoinHandle<AllTold> {
    thread::spawn(move || compress(&mut lane, &pages::<1>(first), Sink::Goes))
}

/// What a queue does not take holds no entry.
#[test]
fn refusals_hold_no_entries() {
    explore(&["all", "some", "none"], || {
        let rig = Rig::new(Some(2), 1);
        rig.device.make_room(1);
        rig.device
            .pages(&[When::AnyTime, When::AtOnce, When::AtOnce]);
        let mut lane = rig.lane(2);
        let told = compress(&mut lane, &pages::<3>(1), Sink::Goes);
        drop(lane);
        rig.device.finish();
        ask_for_all(&rig, 2);
        match told.iter().filter(|&&told| told == DONE).count() {
            3 => "all",
            0 => "none",
            _ => "some",
        }
    });
}

/// Two lanes on a dedicated queue of one entry.
#[test]
fn credits_are_entries() {
    explore(&["both", "one", "none"], || {
        let rig = Rig::new(Some(1), 2);
        rig.device.pages(&[When::AnyTime, When::AtOnce]);
        let (mut lane, other) = (rig.lane(1), rig.lane(1));
        let other = on_a_thread(other, 2);
        let mine = compress(&mut lane, &pages::<1>(1), Sink::Goes);
        drop(lane);
        let other = other.join().expect("another lane");
        rig.device.finish();
        assert!(rig.device.most() <= 1);
        let link = &rig.fleet.links()[0];
        assert!(all_credits(link) > 0 || link.is_aside());
        ask_for_all(&rig, 1);
        match [mine[0], other[0]].iter().filter(|&&t| t == DONE).count() {
            2 => "both",
            1 => "one",
            _ => "none",
        }
    });
}

/// A lane loses the only entry and finds it again while another wants it.
#[test]
fn an_entry_is_found_again() {
    explore(&["found", "lost", "not lost"], || {
        let rig = Rig::new(Some(1), 2);
        rig.device.pages(&[When::AnyTime]);
        rig.device.pages(&[When::AtOnce; 3]);
        let (mut lane, other) = (rig.lane(2), rig.lane(2));
        let first = compress(&mut lane, &pages::<1>(1), Sink::Goes);
        let other = on_a_thread(other, 2);
        compress(&mut lane, &pages::<1>(3), Sink::Goes);
        let is_lost = lane.lost != 0;
        drop(lane);
        other.join().expect("another lane");
        rig.device.finish();
        assert!(rig.device.most() <= 1);
        let link = &rig.fleet.links()[0];
        assert!(all_credits(link) > 0 || link.is_aside());
        ask_for_all(&rig, 1);
        match (first[0], is_lost) {
            (DONE, _) => "not lost",
            (_, false) => "found",
            (_, true) => "lost",
        }
    });
}

fn asks(rig: &Rig) -> thread::JoinHandle<bool> {
    let (fleet, clock) = (Arc::clone(&rig.fleet), Arc::clone(&rig.clock));
    thread::spawn(move || fleet.links()[0].is_usable(&*clock))
}

/// A queue that is back is asked by one caller, and used by all.
#[test]
fn one_caller_asks() {
    explore(&["both", "one"], || {
        let rig = Rig::new(None, 1);
        let link = &rig.fleet.links()[0];
        link.put_aside(&*rig.clock);
        rig.clock.pass(ASIDE);
        rig.device.questions(&[When::AtOnce]);
        let other = asks(&rig);
        let mine = link.is_usable(&*rig.clock);
        let other = other.join().expect("an answer");
        assert_eq!(rig.device.asked(), 1);
        assert!(!link.is_aside());
        assert_eq!(link.absences(), (1, 1));
        match (mine, other) {
            (true, true) => "both",
            (true, false) | (false, true) => "one",
            (false, false) => panic!("nobody has it"),
        }
    });
}

/// A queue all of whose entries are lost is aside, whoever takes it up again
/// meanwhile: else nobody would ask for them.
#[test]
fn a_queue_without_entries_is_aside() {
    explore(&["aside", "usable"], || {
        let rig = Rig::new(Some(1), 1);
        let link = &rig.fleet.links()[0];
        rig.device.pages(&[When::Never]);
        rig.device.questions(&[When::AtOnce; 2]);
        let lane = on_a_thread(rig.lane(2), 1);
        link.put_aside(&*rig.clock);
        rig.clock.pass(ASIDE);
        link.is_usable(&*rig.clock);
        lane.join().expect("a lane");
        if all_credits(link) == 0 {
            assert!(link.is_aside());
            return "aside";
        }
        "usable"
    });
}

/// A slot is lost while somebody else has its queue drained: it is accounted
/// for once, and not used before the device is done with it.
#[test]
fn a_drain_gives_a_slot_back() {
    for answer in [When::AtOnce, When::AnyTime] {
        explore(&["in time", "found", "lost"], move || {
            let rig = Rig::new(Some(2), 1);
            let link = &rig.fleet.links()[0];
            let mut lane = rig.lane(2);
            rig.device
                .pages(&[When::AnyTime, When::AtOnce, When::AtOnce]);
            rig.device.questions(&[answer]);
            let first = compress(&mut lane, &pages::<1>(1), Sink::Goes);
            link.put_aside(&*rig.clock);
            rig.clock.pass(ASIDE);
            let other = asks(&rig);
            for told in compress(&mut lane, &pages::<2>(2), Sink::Goes) {
                assert!([DONE, GONE].contains(&told), "{told:?}");
            }
            let is_lost = lane.lost != 0;
            drop(lane);
            other.join().expect("an answer");
            rig.device.finish();
            assert!(rig.device.most() <= 2);
            ask_for_all(&rig, 2);
            match (first[0], is_lost) {
                (DONE, _) => "in time",
                (_, false) => "found",
                (_, true) => "lost",
            }
        });
    }
}

/// Lanes that are made at once have shares of their own, in a mapping that goes
/// with the last of them.
#[test]
fn lanes_of_a_store_share_a_mapping() {
    explore(&["done"], || {
        let rig = Rig::new(None, 3);
        rig.device.pages(&[When::AtOnce; 3]);
        // Theirs is not at stake: std's pointers order nothing for loom.
        let others = (Arc::clone(&rig.fleet), Arc::clone(&rig.shared));
        let there = rig.clone();
        let other = thread::spawn(move || {
            let mut lane = there.lane(1);
            drop(there);
            compress(&mut lane, &pages::<1>(3), Sink::Lingers)
        });
        let mut lanes = [rig.lane(1), rig.lane(1)];
        drop(rig);
        for (lane, first) in lanes.iter_mut().zip(1..) {
            assert_eq!(compress(lane, &pages::<1>(first), Sink::Lingers), [DONE]);
        }
        drop(lanes);
        assert_eq!(other.join().expect("a lane"), [DONE]);
        drop(others);
        assert_eq!(memory::bytes_mapped(), 0);
        "done"
    });
}

/// An answer that comes too late is none to the next question, and finds its
/// record.
#[test]
fn questions_have_records_of_their_own() {
    explore(&["none", "one", "both"], || {
        let rig = Rig::new(None, 1);
        let mut pulse = Pulse::default();
        let mut ask = || {
            let noop = Base::plain().noop();
            pulse.ask(&rig.device, &*rig.clock, PATIENCE, noop).is_ok()
        };
        let answers = [ask(), ask()];
        drop(pulse);
        rig.device.finish();
        match answers {
            [true, true] => "both",
            [false, false] => "none",
            _ => "one",
        }
    });
}

/// A probe that is given up leaves its memory to the device.
#[test]
fn a_probe_outlives_its_deadline() {
    explore(&["answered", "silent"], || {
        let rig = Rig::new(None, 1);
        let noop = probe::noop(&rig.device, &*rig.clock, PATIENCE);
        let device = rig.device.clone();
        let mapped = rig.end();
        device.finish();
        match noop {
            Ok(_) => {
                assert_eq!(mapped, 0);
                "answered"
            }
            Err(Failure::Silent(_)) => "silent",
            Err(other) => panic!("{other}"),
        }
    });
}
