//! Sources and destinations that are not all there.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use super::client::{Client, shared, unmapped_page};
use pagepress_abi::aecs::decompress as aecs;
use pagepress_abi::flags::op;
use pagepress_abi::{Descriptor, Opcode, Portal, Status, Submission};
use pagepress_model::device::Device;
use pagepress_model::memory::{Checked, Fault, Memory};
use pagepress_model::profile::Profile;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Zeros up to an address, and nothing behind it.
#[derive(Debug, Clone)]
struct Zeros {
    end: u64,
    /// The most bytes that were asked for at once.
    most: Arc<AtomicUsize>,
}

// SAFETY: writes nothing at all.
unsafe impl Memory for Zeros {
    unsafe fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.most.fetch_max(to.len(), Ordering::Relaxed);
        let there = self.end.saturating_sub(address).min(to.len() as u64) as usize;
        to[..there].fill(0);
        if there < to.len() {
            return Err(Fault {
                address: self.end,
                done: there,
            });
        }
        Ok(())
    }

    unsafe fn write(&self, _: u64, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    unsafe fn complete(&self, _: u64, record: &[u8; 64]) -> Result<(), Fault> {
        // The record has no place either: SWERROR tells how it begins.
        Err(Fault {
            address: u64::from_le_bytes(*record.first_chunk().expect("64 bytes")),
            done: 0,
        })
    }
}

/// A source that is said to be of 2 GiB costs no more memory than is there.
#[test]
fn a_huge_source_is_read_in_parts() {
    const START: u64 = 1 << 40;
    const LEN: u64 = 3 << 20;
    for (len, status) in [(LEN + 5, 0x03), (1 << 31, 0x03), (LEN, 0x01), (7, 0x01)] {
        let memory = Zeros {
            end: START + LEN,
            most: Arc::default(),
        };
        let device = Device::new(Profile::GEN1, memory.clone(), &[shared(1)]).unwrap();
        let mut descriptor = Descriptor::new(Opcode::CRC64, op::CRAV | op::RCR);
        (descriptor.src1, descriptor.src1_len) = (START, len as u32);
        // SAFETY: this memory has no addresses.
        let submission = unsafe { device.queue(0).submit(&descriptor.to_bytes()) };
        assert_eq!(submission, Submission::Accepted);
        let record = device
            .software_error()
            .expect("nowhere to complete")
            .address;
        assert_eq!(record as u8, status, "{len}");
        assert!(memory.most.load(Ordering::Relaxed) <= 1 << 20);
    }
}

/// Bytes completed are those of the output, also if it is the AECS that has no
/// place.
#[test]
fn an_aecs_without_a_place() {
    let checked = Checked::new().unwrap();
    let device = Device::new(Profile::GEN1, checked, &[shared(1)]).unwrap();
    let mut client = Client::new(device);
    let mut descriptor = client.sound(Opcode::DECOMPRESS);
    let gone = unmapped_page();
    descriptor.opcode_flags |= op::WRITE_SRC2_AECS;
    descriptor.src2_len = aecs::BYTES as u32;
    // The half that is written begins 64 bytes before the end.
    descriptor.src2 = gone - 64 - aecs::BYTES as u64;
    let completion = client.submit(&descriptor).expect("a completion record");
    let write_fault = Status::PAGE_FAULT.0 | Status::WRITE_FAULT;
    assert_eq!(completion.status, write_fault);
    assert_eq!(completion.fault_addr, gone);
    assert_eq!(completion.bytes_completed, 4096);
    assert_eq!(client.destination(4096), client.text());
}
