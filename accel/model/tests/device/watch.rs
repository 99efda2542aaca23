//! Clients that touch what they have lent, each found out.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use crate::client::{Region, fixed_aecs, shared};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{Descriptor, Opcode};
use pagepress_model::device::Device;
use pagepress_model::memory::Trusting;
use pagepress_model::profile::Profile;
use pagepress_model::watch::{Kind, Watch};
use pagepress_model::work::Work;

const PAGE: usize = 4096;

/// Memory for two operations, and a device that is watched.
struct Scene {
    watch: Watch,
    device: Device,
    src: Region,
    dst: Region,
    aecs: Region,
    records: Region,
}

impl Scene {
    fn new() -> Self {
        let watch = Watch::new().expect("a process may copy its own memory");
        let device = Device::new(Profile::GEN1, Trusting, &[shared(8)]).unwrap();
        let scene = Self {
            device: device.watched_by(&watch),
            watch,
            src: Region::new(2 * PAGE),
            dst: Region::new(2 * PAGE),
            aecs: Region::new(2 * PAGE),
            records: Region::new(128),
        };
        scene.src.put(0, &[7; 2 * PAGE]);
        scene.aecs.put(0, &fixed_aecs());
        scene
    }

    /// One of two sound descriptors that have nothing but tables in common.
    fn compress(&self, which: u64) -> Descriptor {
        let mut d = Descriptor::new(Opcode::COMPRESS, op::CRAV | op::RCR | op::READ_SRC2_AECS);
        d.completion = self.records.address() + 64 * which;
        d.flags = compress::FLUSH | compress::END_EOB;
        (d.src1, d.src1_len) = (self.src.address() + which * PAGE as u64, PAGE as u32);
        (d.dst, d.dst_max) = (self.dst.address() + which * PAGE as u64, PAGE as u32 - 1);
        (d.src2, d.src2_len) = (self.aecs.address(), aecs::BYTES as u32);
        d
    }

    fn accept(&self, d: &Descriptor) -> Work {
        // SAFETY: the descriptor names this scene's regions, which outlive the
        // work; a test that breaks the rest of the promise does so on one
        // thread, between the model's own accesses.
        let work = unsafe { self.device.queue(0).accept(&d.to_bytes()) };
        work.expect("room in the queue")
    }

    fn found(&self) -> Vec<Kind> {
        let found = self.watch.violations();
        assert_eq!(found.len() as u64, self.watch.count());
        found.iter().map(|violation| violation.kind).collect()
    }
}

#[test]
fn who_touches_nothing_is_not_accused() {
    let scene = Scene::new();
    for round in 0..3 {
        let works = [0, 1].map(|which| scene.accept(&scene.compress(which)));
        assert_eq!(scene.watch.open(), 2);
        works.into_iter().for_each(Work::complete);
        assert_eq!(scene.records.get(0, 1), [1], "round {round}");
        scene.records.put(0, &[0]);
        scene.records.put(64, &[0]);
    }
    assert_eq!(scene.found(), []);
    assert_eq!((scene.watch.open(), scene.watch.changed_sources()), (0, 0));
}

#[test]
fn the_destination_is_filled_while_the_device_has_it() {
    let scene = Scene::new();
    scene.dst.put(0, &[0; PAGE]);
    let work = scene.accept(&scene.compress(0));
    assert_ne!(scene.dst.get(0, PAGE - 1), [0; PAGE - 1]);
    assert_eq!(
        scene.dst.get(PAGE - 1, 1),
        [0],
        "behind the most it may write"
    );
    work.complete();
    assert_eq!(scene.found(), []);
}

#[test]
fn each_touch_is_found() {
    type Touch = fn(&Scene);
    let touches: [(Touch, &[Kind]); 4] = [
        (|s| s.dst.put(100, b"!"), &[Kind::DestinationTouched]),
        (|s| s.records.put(8, b"!"), &[Kind::RecordTouched]),
        (|s| s.aecs.put(aecs::LITERALS, b"!"), &[Kind::TablesChanged]),
        // Of a page that it has given up on, a client may.
        (|s| s.src.put(0, b"!"), &[]),
    ];
    for (number, (touch, kinds)) in touches.into_iter().enumerate() {
        let scene = Scene::new();
        let work = scene.accept(&scene.compress(0));
        touch(&scene);
        work.complete();
        assert_eq!(scene.found(), kinds, "touch {number}");
        assert_eq!(scene.watch.changed_sources(), u64::from(number == 3));
    }
}

#[test]
fn the_written_half_of_an_aecs_is_the_devices() {
    let scene = Scene::new();
    let mut d = Descriptor::new(Opcode::DECOMPRESS, op::CRAV | op::RCR | op::WRITE_SRC2_AECS);
    d.completion = scene.records.address();
    d.flags = decompress::ENABLE;
    // The start of a fixed block, and no end.
    scene.src.put(0, &[0b011, 0]);
    (d.src1, d.src1_len) = (scene.src.address(), 2);
    (d.dst, d.dst_max) = (scene.dst.address(), 64);
    (d.src2, d.src2_len) = (scene.aecs.address(), 1248);
    let work = scene.accept(&d);
    scene.aecs.put(1248 + 40, b"!");
    work.complete();
    assert_eq!(scene.found(), [Kind::AecsTouched]);
}

#[test]
fn a_record_must_be_clear() {
    let scene = Scene::new();
    scene.accept(&scene.compress(0)).complete();
    scene.accept(&scene.compress(0)).complete();
    assert_eq!(scene.found(), [Kind::RecordNotClear]);
    let found = scene.watch.violations();
    assert_eq!(
        (found[0].number, found[0].found_at, found[0].other),
        (2, 2, None)
    );
}

#[test]
fn what_is_lent_is_not_lent_again() {
    type Spoil = fn(&mut Descriptor, &Descriptor);
    let spoils: [(Spoil, Kind); 4] = [
        (|d, open| d.dst = open.dst + 4094, Kind::WrittenTwice),
        (|d, open| d.completion = open.completion, Kind::WrittenTwice),
        (|d, open| d.dst = open.src1, Kind::SourceOverwritten),
        (|d, open| d.src1 = open.dst, Kind::ReadTooEarly),
    ];
    for (spoil, kind) in spoils {
        let scene = Scene::new();
        let open = scene.compress(0);
        let mut d = scene.compress(1);
        spoil(&mut d, &open);
        let first = scene.accept(&open);
        let second = scene.accept(&d);
        assert_eq!(scene.found(), [kind]);
        assert_eq!(scene.watch.violations()[0].other, Some(1));
        drop((first, second));

        // One after the other there is nothing wrong with them.
        let scene = Scene::new();
        let open = scene.compress(0);
        let mut d = scene.compress(1);
        spoil(&mut d, &open);
        scene.accept(&open).complete();
        scene.records.put(0, &[0]);
        scene.accept(&d).complete();
        assert_eq!(scene.found(), []);
    }
}

#[test]
fn what_a_reset_ends_is_the_clients_again() {
    let scene = Scene::new();
    let work = scene.accept(&scene.compress(0));
    scene.device.reset();
    assert_eq!(scene.watch.open(), 0);
    scene.dst.put(0, b"mine");
    let again = scene.accept(&scene.compress(0));
    work.complete();
    again.complete();
    assert_eq!(scene.found(), []);
}

#[test]
fn a_refused_descriptor_lends_its_record_alone() {
    let scene = Scene::new();
    let mut d = scene.compress(0);
    d.src2_len = 32;
    let work = scene.accept(&d);
    scene.dst.put(0, b"mine");
    let other = scene.accept(&scene.compress(1));
    work.complete();
    other.complete();
    assert_eq!(scene.found(), []);
    // A size that is none.
    assert_eq!(scene.records.get(0, 1), [0x13]);
}
