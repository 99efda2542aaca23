//! What operations cost.

/// What one operation costs an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Nanoseconds, however much data there is.
    pub fixed: u64,
    /// Bytes in a microsecond, on top of that; 0 for no limit.
    pub bytes_per_us: u64,
}

impl Cost {
    /// Nanoseconds for this many bytes.
    #[must_use]
    pub const fn of(&self, bytes: u64) -> u64 {
        self.fixed + per_us(bytes, self.bytes_per_us)
    }
}

/// Nanoseconds that this many bytes take at a rate, 0 of which is no limit.
pub(super) const fn per_us(bytes: u64, bytes_per_us: u64) -> u64 {
    if bytes_per_us == 0 {
        0
    } else {
        (bytes * 1000).div_ceil(bytes_per_us)
    }
}

/// What a device and its portals cost: parameters of a model, not measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Nanoseconds of whoever submits to a shared queue.
    pub enqcmd: u64,
    /// Nanoseconds of whoever submits to a dedicated queue.
    pub movdir64b: u64,
    /// NOOP, Drain, and what is refused.
    pub noop: u64,
    /// Compress, by the bytes of its input.
    pub compress: Cost,
    /// Decompress, by the bytes of its output.
    pub decompress: Cost,
    /// CRC64, by the bytes of its input.
    pub crc64: Cost,
    /// Bytes that all engines of a device together can move in a microsecond; 0
    /// for no limit.
    pub device_bytes_per_us: u64,
}

impl Costs {
    /// Nothing costs anything: what is submitted is done when `submit` returns.
    pub const NONE: Self = Self {
        enqcmd: 0,
        movdir64b: 0,
        noop: 0,
        compress: Cost {
            fixed: 0,
            bytes_per_us: 0,
        },
        decompress: Cost {
            fixed: 0,
            bytes_per_us: 0,
        },
        crc64: Cost {
            fixed: 0,
            bytes_per_us: 0,
        },
        device_bytes_per_us: 0,
    };

    /// Sapphire Rapids, put together from what others have published.
    ///
    /// - Submission: the rates at which one thread saturates a DSA queue, 5.3
    ///   million a second shared and 9.4 dedicated.
    /// - NOOP: round trips of 607 to 694 ns on IAX and DSA.
    /// - Compress: 4 KiB in 3.23 to 3.26 us and 16 KiB in 9.3 to 9.45 us, one
    ///   at a time (QPL's benchmark, fixed tables).
    /// - Decompress: 64 KiB in 20 us, canned tables (Linux' iaa_crypto series).
    ///   The fixed part is a guess after that of Compress.
    /// - CRC64: 64 bytes in 1051 ns; the rate is the device's.
    /// - The device: 3.8 GB/s from two engines on (QPL's issue 51).
    pub const SAPPHIRE_RAPIDS: Self = Self {
        enqcmd: 190,
        movdir64b: 105,
        noop: 650,
        compress: Cost {
            fixed: 1200,
            bytes_per_us: 2000,
        },
        decompress: Cost {
            fixed: 1000,
            bytes_per_us: 3300,
        },
        crc64: Cost {
            fixed: 1030,
            bytes_per_us: 3800,
        },
        device_bytes_per_us: 3800,
    };
}

impl Default for Costs {
    fn default() -> Self {
        Self::SAPPHIRE_RAPIDS
    }
}
