//! One CPU's context: a lane, and the way from pages to it and back.

use super::software::{Share, Software};
use crate::backend::{checked_room, deliver_raw};
use crate::codec::Codec;
use crate::compressor::{
    CompressDelivery, Compressor, ContextMemory, DecompressDelivery, Decompressed, Screened, screen,
};
use crate::iaa::{Fallback, Options, Verify};
use crate::outcome::{Compressed, PageError, PerformedBy, Stored};
use crate::page::{self, Pages, UnitSize};
use crate::report::FallbackReason;
use core::num::NonZeroU32;
use core::ops::ControlFlow;
use pagepress_fallback::NotCompressed;
use pagepress_iaa::lane::{Answer, Batch, Input, Lane, Reason};
use std::sync::Arc;

const CODEC: Codec = Codec::Deflate;

/// One CPU's context.
pub(super) struct Context {
    lane: Lane,
    rules: Rules,
    /// Pages until the next one that is verified in software.
    unverified: u32,
}

/// What all calls go by.
#[derive(Clone)]
struct Rules {
    software: Arc<Share>,
    unit: UnitSize,
    fallback: Fallback,
    /// Of compressed pages, every so many are verified in software; 0 for none.
    verify: u32,
    performed_by: PerformedBy,
    /// The canned tables that the device compresses with.
    tables: Option<NonZeroU32>,
}

impl Context {
    pub(super) fn new(
        lane: Lane,
        software: Arc<Share>,
        options: &Options,
        unit: UnitSize,
        performed_by: PerformedBy,
    ) -> Self {
        let tables = software.tables().map(crate::iaa::Tables::id);
        Self {
            lane,
            rules: Rules {
                software,
                unit,
                fallback: options.fallback,
                verify: match options.verify {
                    Verify::InSoftware(pages) => pages.max(1),
                    _ => 0,
                },
                performed_by,
                tables,
            },
            unverified: 0,
        }
    }
}

impl Compressor for Context {
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>) {
        let mut going_in = GoingIn {
            pages,
            next: 0,
            delivery,
            leased: Leased::new(&self.rules),
            unverified: &mut self.unverified,
            stopped: false,
        };
        self.lane.compress(&mut going_in);
    }

    fn decompress(&mut self, pages: &[Stored<'_>], delivery: &mut DecompressDelivery<'_>) {
        let mut coming_out = ComingOut {
            pages,
            window: [0; WINDOW],
            from: 0,
            ahead: 0,
            to: 0,
            taken: 0,
            delivery,
            leased: Leased::new(&self.rules),
            stopped: false,
        };
        self.lane.decompress(&mut coming_out);
    }

    fn memory(&self) -> ContextMemory {
        let device = self.lane.device_bytes();
        let buffers = self.lane.slots() * self.rules.unit.bytes();
        ContextMemory {
            dst_buffers: buffers,
            codec_state: device - buffers,
            rest: self.lane.other_bytes() + size_of::<Self>() - size_of::<Lane>(),
        }
    }
}

/// A software codec for as long as a call needs one.
struct Leased<'a> {
    rules: &'a Rules,
    software: Option<Software>,
}

impl<'a> Leased<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            software: None,
        }
    }

    fn get(&mut self) -> Result<&mut Software, PageError> {
        let software = match self.software.take() {
            Some(software) => software,
            None => self.rules.software.take()?,
        };
        Ok(self.software.insert(software))
    }

    /// Whether software may do a page for this reason.
    fn may_fall_back(&self, reason: FallbackReason) -> bool {
        match self.rules.fallback {
            Fallback::Never => false,
            Fallback::OnBusy => reason == FallbackReason::Busy,
            Fallback::OnAnyFault => true,
        }
    }
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        if let Some(software) = self.software.take() {
            self.rules.software.give_back(software);
        }
    }
}

fn reason_of(reason: Reason) -> FallbackReason {
    match reason {
        Reason::Busy => FallbackReason::Busy,
        Reason::PageFault => FallbackReason::PageFault,
        Reason::Timeout => FallbackReason::Timeout,
        Reason::DeviceError => FallbackReason::DeviceError,
        Reason::Mismatch => FallbackReason::Mismatch,
        Reason::Gone => FallbackReason::DeviceGone,
    }
}

/// Pages on their way to a device.
struct GoingIn<'a, 'p, 's> {
    pages: &'p dyn Pages,
    next: usize,
    delivery: &'a mut CompressDelivery<'s>,
    leased: Leased<'a>,
    unverified: &'a mut u32,
    stopped: bool,
}

impl GoingIn<'_, '_, '_> {
    fn told(&mut self, flow: ControlFlow<()>) -> ControlFlow<()> {
        self.stopped |= flow.is_break();
        flow
    }

    fn is_to_verify(&mut self) -> bool {
        let every = self.leased.rules.verify;
        if every == 0 {
            return false;
        }
        *self.unverified += 1;
        if *self.unverified < every {
            return false;
        }
        *self.unverified = 0;
        true
    }

    /// Whether what the device made of a page decompresses to it.
    fn is_right(&mut self, index: usize, bytes: &[u8]) -> bool {
        let rules = self.leased.rules;
        let page = self.pages.page(index);
        let software = self.leased.get();
        software.is_ok_and(|software| {
            let canned = rules.tables.is_some();
            let back = software.decompress_here(bytes, canned, rules.unit.bytes());
            back == Ok(page)
        })
    }

    fn in_software(&mut self, index: usize, reason: FallbackReason) -> ControlFlow<()> {
        if !self.leased.may_fall_back(reason) {
            return self
                .delivery
                .failed(index, PageError::NotByDevice { reason });
        }
        let page = self.pages.page(index);
        let tables = self.leased.rules.tables;
        let software = match self.leased.get() {
            Ok(software) => software,
            Err(error) => return self.delivery.failed(index, error),
        };
        match software.compress(page) {
            Ok(bytes) => {
                self.delivery.fell_back(reason);
                let page = Compressed::new(CODEC, bytes).with_tables(tables);
                self.delivery.compressed(index, page, PerformedBy::Software)
            }
            Err(NotCompressed::Incompressible) => {
                self.delivery.fell_back(reason);
                self.delivery.incompressible(index, PerformedBy::Software)
            }
            Err(NotCompressed::Failed(reason)) => {
                let codec = CODEC;
                self.delivery
                    .failed(index, PageError::CodecFailed { codec, reason })
            }
        }
    }
}

impl<'p> Batch<'p> for GoingIn<'_, 'p, '_> {
    fn left(&self) -> usize {
        self.pages.len() - self.next
    }

    #[inline]
    fn next(&mut self, _room: &mut [u8]) -> Option<Input<'p>> {
        while !self.stopped && self.next < self.pages.len() {
            let index = self.next;
            self.next += 1;
            let pages: &'p dyn Pages = self.pages;
            let bytes = pages.page(index);
            let flow = match screen(bytes, self.leased.rules.unit) {
                Ok(Screened::NeedsCodec) => {
                    return Some(Input {
                        index,
                        bytes,
                        canned: false,
                    });
                }
                Ok(Screened::SameFilled(word)) => self.delivery.same_filled(index, word),
                Err(error) => self.delivery.failed(index, error),
            };
            let _ = self.told(flow);
        }
        None
    }

    #[inline]
    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        let rules = self.leased.rules;
        let flow = match answer {
            Answer::Done(bytes) => {
                if self.is_to_verify() && !self.is_right(index, bytes) {
                    self.in_software(index, FallbackReason::Mismatch)
                } else {
                    let page = Compressed::new(CODEC, bytes).with_tables(rules.tables);
                    self.delivery.compressed(index, page, rules.performed_by)
                }
            }
            Answer::TooBig => self.delivery.incompressible(index, rules.performed_by),
            Answer::Failed(reason) => self.in_software(index, reason_of(reason)),
        };
        self.told(flow)
    }
}

/// Pages that are put in order at a time.
const WINDOW: usize = 64;

/// Pages on their way back.
struct ComingOut<'a, 'p, 's> {
    pages: &'p [Stored<'p>],
    /// Numbers of the next compressed pages, relative to `from`: the largest
    /// first, since it takes the longest.
    window: [u8; WINDOW],
    from: usize,
    /// The first page that nobody has looked at.
    ahead: usize,
    /// How many there are, and how many have been taken.
    to: usize,
    taken: usize,
    delivery: &'a mut DecompressDelivery<'s>,
    leased: Leased<'a>,
    stopped: bool,
}

impl<'p> ComingOut<'_, 'p, '_> {
    fn told(&mut self, flow: ControlFlow<()>) -> ControlFlow<()> {
        self.stopped |= flow.is_break();
        flow
    }

    fn compressed(&self, index: usize) -> Option<Compressed<'p>> {
        match self.pages[index] {
            Stored::Compressed(page) => Some(page),
            _ => None,
        }
    }

    /// Looks through the next pages; whether there were any. What needs no
    /// codec is delivered at once.
    fn look_ahead(&mut self, lent: &mut [u8]) -> bool {
        let from = self.ahead;
        let end = (from + WINDOW).min(self.pages.len());
        (self.from, self.ahead) = (from, end);
        (self.to, self.taken) = (0, 0);
        for index in from..end {
            if self.stopped {
                return false;
            }
            let flow = self.sort_in(index, (index - from) as u8, lent);
            let _ = self.told(flow);
        }
        let pages = self.pages;
        let size = |&number: &u8| match &pages[from + usize::from(number)] {
            Stored::Compressed(page) => page.bytes().len(),
            _ => 0,
        };
        self.window[..self.to].sort_unstable_by_key(|number| core::cmp::Reverse(size(number)));
        end > from
    }

    fn sort_in(&mut self, index: usize, number: u8, lent: &mut [u8]) -> ControlFlow<()> {
        let rules = self.leased.rules;
        let unit = rules.unit.bytes();
        let stored = &self.pages[index];
        let room = match checked_room(index, stored, CODEC, unit, self.delivery) {
            Ok(room) => room,
            Err(error) => return self.delivery.failed(index, error),
        };
        match *stored {
            Stored::Compressed(page) => {
                if let Some(actual) = page.tables().filter(|_| page.tables() != rules.tables) {
                    return self
                        .delivery
                        .failed(index, PageError::WrongTables { actual });
                }
                self.window[self.to] = number;
                self.to += 1;
                ControlFlow::Continue(())
            }
            Stored::Raw(bytes) => deliver_raw(index, bytes, self.delivery),
            Stored::SameFilled(word) => {
                if let Some(room) = room {
                    page::fill(room, word);
                    return self.delivery.same_filled(index, Decompressed::InRoom);
                }
                let room = if lent.len() == unit {
                    lent
                } else {
                    match self.leased.get() {
                        Ok(software) => software.room(unit),
                        Err(error) => return self.delivery.failed(index, error),
                    }
                };
                page::fill(room, word);
                self.delivery.same_filled(index, Decompressed::At(room))
            }
        }
    }

    fn deliver(&mut self, index: usize, bytes: &[u8], by: PerformedBy) -> ControlFlow<()> {
        let packed = self.compressed(index).map_or(0, |page| page.bytes().len());
        match self.delivery.room(index) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.delivery
                    .decompressed(index, Decompressed::InRoom, packed, by)
            }
            None => self
                .delivery
                .decompressed(index, Decompressed::At(bytes), packed, by),
        }
    }

    fn in_software(&mut self, index: usize, reason: FallbackReason) -> ControlFlow<()> {
        if !self.leased.may_fall_back(reason) {
            return self
                .delivery
                .failed(index, PageError::NotByDevice { reason });
        }
        let Some(page) = self.compressed(index) else {
            unreachable!("only compressed pages go to a device");
        };
        let unit = self.leased.rules.unit.bytes();
        let canned = page.tables().is_some();
        let packed = page.bytes().len();
        let software = match self.leased.get() {
            Ok(software) => software,
            Err(error) => return self.delivery.failed(index, error),
        };
        let corrupt = |cause| PageError::Corrupt {
            codec: CODEC,
            cause,
        };
        let done = match self.delivery.room(index) {
            Some(room) => software
                .decompress(page.bytes(), canned, room)
                .map(|()| Decompressed::InRoom),
            None => software
                .decompress_here(page.bytes(), canned, unit)
                .map(Decompressed::At),
        };
        match done {
            Ok(done) => {
                self.delivery.fell_back(reason);
                self.delivery
                    .decompressed(index, done, packed, PerformedBy::Software)
            }
            Err(cause) => self.delivery.failed(index, corrupt(cause)),
        }
    }
}

impl<'p> Batch<'p> for ComingOut<'_, 'p, '_> {
    fn left(&self) -> usize {
        self.pages.len() - self.ahead + (self.to - self.taken)
    }

    fn next(&mut self, lent: &mut [u8]) -> Option<Input<'p>> {
        loop {
            if self.stopped {
                return None;
            }
            if self.taken < self.to {
                let index = self.from + usize::from(self.window[self.taken]);
                self.taken += 1;
                let page = self.compressed(index)?;
                return Some(Input {
                    index,
                    bytes: page.bytes(),
                    canned: page.tables().is_some(),
                });
            }
            if !self.look_ahead(lent) {
                return None;
            }
        }
    }

    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        let flow = match answer {
            Answer::Done(bytes) => self.deliver(index, bytes, self.leased.rules.performed_by),
            Answer::TooBig => self.in_software(index, FallbackReason::DeviceError),
            Answer::Failed(reason) => self.in_software(index, reason_of(reason)),
        };
        self.told(flow)
    }
}
