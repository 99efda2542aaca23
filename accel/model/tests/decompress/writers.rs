//! Data, and what others make of it.

/// Data in which all sorts of tokens occur.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let mut seed = 12345_u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 16
    };
    let mut data = Vec::new();
    while data.len() < len {
        match next() % 8 {
            0 => data.extend((0..next() % 20).map(|_| next() as u8)),
            1 => data.extend(vec![next() as u8; next() as usize % 400]),
            2 if data.len() > 300 => {
                let from = data.len() - 1 - next() as usize % 300;
                data.extend_from_within(from..(from + 40).min(data.len()));
            }
            _ => data.extend_from_slice(format!("page {:x} of ", next() % 999).as_bytes()),
        }
    }
    data.truncate(len);
    data
}

/// What zlib-rs makes of it, with a window of 4 KiB; at level 0 stored.
pub(crate) fn zlib(data: &[u8], level: i32) -> Vec<u8> {
    let mut encoder = zlib_rs::Deflate::new(level, false, 12);
    let mut out = vec![0; data.len() + data.len() / 4 + 4096];
    let status = encoder.compress(data, &mut out, zlib_rs::DeflateFlush::Finish);
    assert_eq!(status, Ok(zlib_rs::Status::StreamEnd));
    out.truncate(encoder.total_out() as usize);
    out
}

/// The same with another flush after each of some pieces: several blocks.
pub(crate) fn zlib_blocks(data: &[u8], level: i32, piece: usize) -> Vec<u8> {
    let mut encoder = zlib_rs::Deflate::new(level, false, 12);
    let mut out = vec![0; 2 * data.len() + 4096];
    let mut flushes = [
        zlib_rs::DeflateFlush::PartialFlush,
        zlib_rs::DeflateFlush::SyncFlush,
        zlib_rs::DeflateFlush::FullFlush,
        zlib_rs::DeflateFlush::Block,
    ]
    .into_iter()
    .cycle();
    for piece in data.chunks(piece) {
        let at = encoder.total_out() as usize;
        let flush = flushes.next().unwrap();
        encoder.compress(piece, &mut out[at..], flush).unwrap();
    }
    let at = encoder.total_out() as usize;
    let end = encoder.compress(&[], &mut out[at..], zlib_rs::DeflateFlush::Finish);
    assert_eq!(end, Ok(zlib_rs::Status::StreamEnd));
    out.truncate(encoder.total_out() as usize);
    out
}

pub(crate) fn libdeflate(data: &[u8], level: i32) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(level).unwrap();
    let mut encoder = libdeflater::Compressor::new(level);
    let mut out = vec![0; encoder.deflate_compress_bound(data.len())];
    let len = encoder.deflate_compress(data, &mut out).unwrap();
    out.truncate(len);
    out
}

/// Pages of several kinds.
pub(crate) fn pages() -> Vec<Vec<u8>> {
    let mut pages: Vec<Vec<u8>> = text(16 * 4096).chunks(4096).map(<[u8]>::to_vec).collect();
    pages.push(vec![0; 4096]);
    pages.push(
        (0..4096_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect(),
    );
    pages.push(
        (0..4096_u32)
            .flat_map(|i| (0x7F00_0000 + i * 64).to_le_bytes())
            .take(4096)
            .collect(),
    );
    pages.push(b"ab".to_vec());
    pages.push(Vec::new());
    pages
}
