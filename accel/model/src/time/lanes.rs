//! A device's engines, as far as time goes.

use super::costs::{Costs, per_us};
use pagepress_abi::Opcode;

/// When each engine, and the path to memory that they share, is free again.
#[derive(Debug)]
pub(super) struct Lanes {
    engines: Box<[u64]>,
    memory: u64,
}

impl Lanes {
    pub(super) fn new(engines: u32) -> Self {
        Self {
            engines: vec![0; engines.max(1) as usize].into(),
            memory: 0,
        }
    }

    /// When an operation ends that is taken `at` this time. Descriptors go to
    /// engines in the order in which they were taken, each to the one that is
    /// free first.
    pub(super) fn run(
        &mut self,
        at: u64,
        costs: &Costs,
        opcode: Opcode,
        bytes: usize,
        stall: u64,
    ) -> u64 {
        let bytes = bytes as u64;
        let cost = match opcode {
            Opcode::COMPRESS if bytes > 0 => costs.compress.of(bytes),
            Opcode::DECOMPRESS if bytes > 0 => costs.decompress.of(bytes),
            Opcode::CRC64 if bytes > 0 => costs.crc64.of(bytes),
            _ => costs.noop,
        };
        let engine = self.engines.iter_mut().min().expect("at least one engine");
        let start = at.max(*engine).saturating_add(stall);
        let moved = start.max(self.memory) + per_us(bytes, costs.device_bytes_per_us);
        self.memory = self.memory.max(moved);
        let end = (start + cost).max(moved);
        *engine = end;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs::SAPPHIRE_RAPIDS;

    #[test]
    fn engines_work_side_by_side_until_memory_is_the_limit() {
        let mut lanes = Lanes::new(8);
        let mut compress = || lanes.run(0, &COSTS, Opcode::COMPRESS, 4096, 0);
        let one = COSTS.compress.of(4096);
        assert_eq!([compress(), compress(), compress()], [one; 3]);
        let moved = 4096 * 1000 / 3800;
        let eighth = (0..5).map(|_| compress()).last().unwrap();
        assert!(eighth.abs_diff(8 * moved) < 16, "{eighth}");
        // The ninth waits for an engine, and for memory longer than that.
        assert!(compress().abs_diff(9 * moved) < 16);
    }

    #[test]
    fn one_engine_takes_turns_and_a_stall_holds_it() {
        let mut lanes = Lanes::new(1);
        let mut noop = |at, stall| lanes.run(at, &COSTS, Opcode::NOOP, 0, stall);
        assert_eq!(noop(0, 0), 650);
        assert_eq!(noop(100, 9000), 650 + 9000 + 650);
        assert_eq!(noop(200, 0), 650 + 9000 + 650 + 650);
        assert_eq!(noop(1_000_000, 0), 1_000_650);
    }
}
