//! What completes, what does not, and what becomes of a page then.

#![expect(unsafe_code, reason = "the device writes buffers and records")]

use super::{Answer, Batch, Format, Kind, Lane, Line, Reason, Slot, Slots, Stage, Verify, bit};
use crate::recipe::Base;
use crate::tables::Codes;
use crate::tally::Count;
use pagepress_abi::{Completion, Descriptor, ErrorCode, Status};
use std::sync::Arc;

impl Line {
    /// The descriptors of neighbouring lines.
    pub(super) fn bytes(lines: &[Self]) -> &[[u8; Descriptor::BYTES]] {
        // SAFETY: a `Line` is an array of 64 bytes and nothing else, of size
        // 64; the higher alignment does no harm.
        unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len()) }
    }
}

impl Lane {
    /// Fills in the descriptor of a slot for its stage and clears its record.
    #[inline]
    pub(super) fn prepare(&mut self, slot: usize) {
        let state = &self.slots[slot];
        let kind = Kind {
            stage: state.stage,
            canned: state.canned,
            link: state.link,
        };
        if self.made_for[slot] != Some(kind) {
            self.descriptors[slot] = Line(self.descriptor(slot, kind).to_bytes());
            self.made_for[slot] = Some(kind);
        }
        let (src, len) = match kind.stage {
            Stage::Verify => (self.memory.dst_address(slot), state.packed),
            _ => (state.src, state.src_len),
        };
        Descriptor::put_src1(&mut self.descriptors[slot].0, src, len);
        // SAFETY: the slot does not fly.
        unsafe { self.memory.clear(slot) };
    }

    /// The descriptor of a slot, but for its source.
    fn descriptor(&self, slot: usize, kind: Kind) -> Descriptor {
        let facts = self.fleet.links()[usize::from(kind.link)].facts();
        let (base, memory) = (facts.base, &self.memory);
        let mut d = match kind.stage {
            Stage::Statistics => base.statistics(),
            Stage::Compress => match self.settings.format {
                Format::Dynamic if facts.header_gen && self.settings.unit <= 4096 => {
                    base.compress_with_header()
                }
                _ => base.compress(),
            },
            Stage::Decompress | Stage::Verify if kind.canned => {
                base.decompress_canned(self.shared.reader_bytes(facts.gen2))
            }
            Stage::Decompress | Stage::Verify => base.decompress(),
        };
        d.completion = memory.record_address(slot);
        d.dst = memory.dst_address(slot);
        match kind.stage {
            Stage::Statistics => d.dst = memory.histogram_address(slot),
            Stage::Compress => {
                d.dst_max = self.settings.accept_limit as u32;
                if d.src2_len != 0 {
                    d.src2 = match self.settings.format {
                        Format::Dynamic => memory.aecs_address(slot),
                        _ => self.shared.writer_address(),
                    };
                }
            }
            Stage::Decompress => d.dst_max = self.settings.unit as u32,
            Stage::Verify => {
                d = Base::verifying(d);
                // Nothing is written there. What was packed is shorter than a
                // page, so they do not overlap.
                d.dst += self.settings.unit as u64 - 1;
            }
        }
        if kind.canned && matches!(kind.stage, Stage::Decompress | Stage::Verify) {
            d.src2 = self.shared.reader_address(facts.gen2);
        }
        d
    }

    /// Looks at everything that flies. Whether anything had completed.
    pub(super) fn collect<'p>(&mut self, batch: &mut impl Batch<'p>) -> bool {
        let mut any = false;
        let mut todo = self.flying;
        while todo != 0 {
            let slot = todo.trailing_zeros() as usize;
            todo &= !bit(slot);
            let Some(status) = self.memory.poll(slot) else {
                continue;
            };
            any = true;
            self.landed(slot);
            self.judge(batch, slot, status);
        }
        any
    }

    /// A slot's descriptor has completed.
    fn landed(&mut self, slot: usize) {
        self.flying &= !bit(slot);
        let number = usize::from(self.slots[slot].link);
        self.fleet.links()[number].return_credits(1);
        self.tallies[number].add(Count::Completed, 1);
    }

    /// Decides what becomes of a page whose descriptor has completed. Its slot
    /// is in no set meanwhile: neither in flight nor to be used.
    fn judge<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, status: u8) {
        if Status::of(status) != Status::SUCCESS {
            // SAFETY: its status was seen, and nothing else names the record.
            let completion = unsafe { self.memory.record(slot) };
            self.judge_failure(batch, slot, &completion);
            return;
        }
        let state = self.slots[slot];
        let number = usize::from(state.link);
        self.fleet.links()[number].succeeded();
        // SAFETY: as above.
        let output_size = unsafe { self.memory.output_size(slot) };
        let len = output_size as usize;
        match state.stage {
            Stage::Statistics => {
                self.make_codes(slot);
                self.slots[slot].coded = true;
                self.slots[slot].stage = Stage::Compress;
                self.again(slot);
            }
            // A device that says more than it may write is not to be believed.
            Stage::Compress if len == 0 || len > self.settings.accept_limit => {
                self.misbehaved(batch, slot, Reason::DeviceError);
            }
            Stage::Compress if self.is_to_verify() && self.route_to_verify(slot) => {
                let state = &mut self.slots[slot];
                // SAFETY: as above.
                (state.packed, state.crc) = (output_size, unsafe { self.memory.crc(slot) });
                state.canned = self.settings.format == Format::Canned;
                state.stage = Stage::Verify;
                self.again(slot);
            }
            Stage::Compress => self.deliver(batch, slot, len),
            // SAFETY: as above.
            Stage::Verify if unsafe { self.memory.crc(slot) } == state.crc => {
                self.deliver(batch, slot, state.packed as usize);
            }
            Stage::Verify => {
                self.tallies[number].add(Count::Mismatches, 1);
                self.misbehaved(batch, slot, Reason::Mismatch);
            }
            Stage::Decompress if len == self.settings.unit => self.deliver(batch, slot, len),
            // The stream may be another one than it is said to be; software
            // has the last word on it.
            Stage::Decompress => self.refuse(batch, slot, Reason::DeviceError),
        }
    }

    #[cold]
    fn judge_failure<'p>(
        &mut self,
        batch: &mut impl Batch<'p>,
        slot: usize,
        completion: &Completion,
    ) {
        let state = self.slots[slot];
        let tally = &self.tallies[usize::from(state.link)];
        let compresses = matches!(state.stage, Stage::Statistics | Stage::Compress);
        match (completion.status(), completion.error()) {
            (Status::ANALYTICS_ERROR, ErrorCode::OVERFLOW) if compresses => {
                self.finish(batch, slot, Answer::TooBig);
            }
            (Status::PAGE_FAULT | Status::PAGE_FAULT_UNRESOLVED, _) => {
                tally.add(Count::PageFaults, 1);
                if state.faults < self.settings.faults_most {
                    self.touch(slot, completion);
                    self.start_over(batch, slot, Reason::PageFault);
                } else {
                    self.refuse(batch, slot, Reason::PageFault);
                }
            }
            (Status::ANALYTICS_ERROR, ErrorCode::ADMINISTRATIVE_TIMEOUT)
                if state.faults < self.settings.faults_most =>
            {
                tally.add(Count::Errors, 1);
                self.start_over(batch, slot, Reason::DeviceError);
            }
            // What is wrong with the data of a page is not the queue's fault;
            // that its own output does not decompress is.
            (Status::ANALYTICS_ERROR, _) | (Status::OUTPUT_OVERFLOW, _)
                if state.stage == Stage::Decompress =>
            {
                tally.add(Count::Errors, 1);
                self.refuse(batch, slot, Reason::DeviceError);
            }
            (Status::ANALYTICS_ERROR, _) if state.stage == Stage::Verify => {
                tally.add(Count::Mismatches, 1);
                self.misbehaved(batch, slot, Reason::Mismatch);
            }
            _ => {
                tally.add(Count::Errors, 1);
                self.misbehaved(batch, slot, Reason::DeviceError);
            }
        }
    }

    /// Submits the slot once more, for its present stage.
    fn again(&mut self, slot: usize) {
        self.slots[slot].deadline = 0;
        self.prepare(slot);
        self.waiting |= bit(slot);
    }

    /// Submits the page from its first stage on.
    fn start_over<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, reason: Reason) {
        self.slots[slot].faults += 1;
        if self.slots[slot].stage != Stage::Decompress {
            let mut link = self.slots[slot].link;
            if !self.fleet.links()[usize::from(link)].facts().compresses {
                // It verified what another one had compressed.
                let Some(other) = self.routes.for_compress(&self.fleet) else {
                    self.refuse(batch, slot, reason);
                    return;
                };
                link = other;
            }
            self.slots[slot].link = link;
            self.slots[slot].coded = false;
            self.slots[slot].stage = self.first_stage(slot, link);
        }
        self.again(slot);
    }

    /// Reads and writes what faulted, so that it is there for another try.
    fn touch(&self, slot: usize, completion: &Completion) {
        let state = &self.slots[slot];
        let is_write = completion.status & Status::WRITE_FAULT != 0;
        if is_write {
            // SAFETY: the slot does not fly.
            unsafe { self.memory.touch(slot) };
            return;
        }
        if state.stage == Stage::Verify {
            return;
        }
        let (start, end) = (state.src, state.src + u64::from(state.src_len));
        let at = completion.fault_addr.max(start);
        if at < end {
            let byte = core::ptr::with_exposed_provenance::<u8>(at as usize);
            // SAFETY: a byte of the page that the caller has lent to this call,
            // which runs: slots of earlier calls are not judged again. The read
            // is volatile because only its side effect counts.
            unsafe { core::ptr::read_volatile(byte) };
        }
    }

    /// Makes codes of the histogram that the device has written, where the
    /// second pass reads them.
    fn make_codes(&mut self, slot: usize) {
        // SAFETY: the pass that wrote it has completed.
        let codes = Codes::new(&unsafe { self.memory.histogram(slot) });
        // SAFETY: nothing is in flight for this slot.
        unsafe { self.memory.put_codes(slot, &codes) };
    }

    /// Has a queue verify that decompresses; whether there is one.
    fn route_to_verify(&mut self, slot: usize) -> bool {
        let links = self.fleet.links();
        let link = self.slots[slot].link;
        if links[usize::from(link)].facts().decompresses {
            return true;
        }
        let other = self.routes.for_decompress(&self.fleet, 0);
        self.slots[slot].link = other.unwrap_or(link);
        other.is_some()
    }

    fn is_to_verify(&mut self) -> bool {
        let Verify::Every(pages) = self.settings.verify else {
            return false;
        };
        self.unverified += 1;
        if self.unverified < pages {
            return false;
        }
        self.unverified = 0;
        true
    }

    /// Hands over what lies in the slot's buffer.
    #[inline]
    fn deliver<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, len: usize) {
        let Slot {
            index,
            link,
            src_len,
            ..
        } = self.slots[slot];
        let tally = &self.tallies[usize::from(link)];
        tally.add(Count::BytesIn, u64::from(src_len));
        tally.add(Count::BytesOut, len as u64);
        if !self.stopped {
            // The slot is free again even if the sink panics; until this
            // returns nobody else has the lane.
            self.free |= bit(slot);
            // SAFETY: the slot has completed and is not used again before this
            // returns, so nobody writes its buffer.
            let bytes = unsafe { self.memory.dst(slot, len) };
            if batch.done(index, Answer::Done(bytes)).is_break() {
                self.stopped = true;
            }
        }
        self.free |= bit(slot);
    }

    fn finish<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, answer: Answer<'_>) {
        self.free |= bit(slot);
        let index = self.slots[slot].index;
        self.tell(batch, index, answer);
    }

    fn refuse<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, reason: Reason) {
        self.finish(batch, slot, Answer::Failed(reason));
    }

    /// The queue did what it must not.
    fn misbehaved<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, reason: Reason) {
        let link = &self.fleet.links()[usize::from(self.slots[slot].link)];
        link.failed(self.fleet.clock());
        self.refuse(batch, slot, reason);
    }

    /// Lets time pass, and gives up what took too long.
    #[cold]
    pub(super) fn wait<'p>(&mut self, batch: &mut impl Batch<'p>, round: u32) {
        self.find();
        let now = self.fleet.clock().now();
        let mut until = u64::MAX;
        let mut late: Slots = 0;
        let mut todo = self.flying;
        while todo != 0 {
            let slot = todo.trailing_zeros() as usize;
            todo &= !bit(slot);
            if self.slots[slot].deadline == 0 {
                self.slots[slot].deadline = now.saturating_add(self.patience()).max(1);
            }
            // It may have completed since it was looked at, before `now`.
            if now >= self.slots[slot].deadline && self.memory.poll(slot).is_none() {
                late |= bit(slot);
            }
            until = until.min(self.slots[slot].deadline);
        }
        if late == 0 {
            let oldest = self.flying.trailing_zeros() as usize;
            let watched = self.memory.watched(oldest);
            self.fleet.clock().wait(round, watched, until);
            return;
        }
        while late != 0 {
            let slot = late.trailing_zeros() as usize;
            late &= !bit(slot);
            self.lose(slot);
            self.tell(
                batch,
                self.slots[slot].index,
                Answer::Failed(Reason::Timeout),
            );
        }
    }

    /// Takes a slot out of use until the device has answered.
    fn lose(&mut self, slot: usize) {
        self.flying &= !bit(slot);
        self.lost |= bit(slot);
        let number = usize::from(self.slots[slot].link);
        self.tallies[number].add(Count::Timeouts, 1);
        let link = &self.fleet.links()[number];
        self.slots[slot].drained = link.lost(self.fleet.clock());
        link.failed(self.fleet.clock());
    }

    /// Takes up again what was lost and has completed since, or never will
    /// because its queue holds it no more.
    fn find(&mut self) {
        let mut todo = self.lost;
        while todo != 0 {
            let slot = todo.trailing_zeros() as usize;
            todo &= !bit(slot);
            let number = usize::from(self.slots[slot].link);
            let (link, tally) = (&self.fleet.links()[number], &self.tallies[number]);
            let drained = self.slots[slot].drained;
            if self.memory.poll(slot).is_some() {
                tally.add(Count::Completed, 1);
                link.found(drained);
            } else if !link.is_drained_since(drained) {
                continue;
            }
            self.lost &= !bit(slot);
            self.free |= bit(slot);
        }
    }

    /// Takes up again what was lost and has been answered since, and sees to it
    /// that there is a slot.
    #[cold]
    pub(super) fn clean_up(&mut self) {
        self.find();
        if self.free == 0 && self.routes.is_any_usable(&self.fleet) {
            // Asking may have drained a queue.
            self.find();
            if self.free == 0 && !self.renew() {
                self.have_drained();
            }
        }
    }

    /// Ends a call whose sink panicked: nobody waits for its pages any more, but
    /// while they fly the device reads the caller's memory, and they hold
    /// entries of queues.
    #[cold]
    pub(super) fn abandon(&mut self) {
        self.free |= self.waiting;
        self.waiting = 0;
        self.settle();
        while self.flying != 0 {
            self.lose(self.flying.trailing_zeros() as usize);
        }
    }

    /// Lets what flies land, for a while.
    fn settle(&mut self) {
        let until = self.fleet.clock().now().saturating_add(self.patience());
        let mut round = 0;
        while self.flying != 0 {
            let mut todo = self.flying;
            while todo != 0 {
                let slot = todo.trailing_zeros() as usize;
                todo &= !bit(slot);
                if self.memory.poll(slot).is_some() {
                    self.landed(slot);
                    self.free |= bit(slot);
                }
            }
            if self.flying == 0 || self.fleet.clock().now() >= until {
                return;
            }
            let watched = self.memory.watched(self.flying.trailing_zeros() as usize);
            self.fleet.clock().wait(round, watched, until);
            round += 1;
        }
    }

    /// With every slot lost, others are made, a few times; the lost ones stay
    /// where the device may write them.
    fn renew(&mut self) -> bool {
        let renewed = self.memory.renew();
        if renewed {
            self.lost = 0;
            self.made_for.fill(None);
            self.free = super::bits(0, self.slots.len());
        }
        renewed
    }

    /// Puts the queues aside that have the lost slots: they are drained before
    /// they are taken up again, and that is how the slots come back.
    fn have_drained(&self) {
        let mut todo = self.lost;
        while todo != 0 {
            let slot = todo.trailing_zeros() as usize;
            todo &= !bit(slot);
            let link = &self.fleet.links()[usize::from(self.slots[slot].link)];
            if !link.is_aside() {
                link.put_aside(self.fleet.clock());
            }
        }
    }
}

impl Drop for Lane {
    /// Waits a moment for what was lost; what has not landed then keeps its
    /// memory for good.
    fn drop(&mut self) {
        if !self.memory.is_here() {
            return;
        }
        let until = self.fleet.clock().now().saturating_add(self.patience());
        let mut round = 0;
        loop {
            self.find();
            let clock = self.fleet.clock();
            if self.lost == 0 || clock.now() >= until {
                break;
            }
            let watched = self.memory.watched(self.lost.trailing_zeros() as usize);
            clock.wait(round, watched, until);
            round += 1;
        }
        if self.lost != 0 {
            self.memory.leak();
        }
        if self.memory.is_any_lost() {
            // The tables that the device may still read stay too.
            core::mem::forget(Arc::clone(&self.shared));
        }
    }
}
