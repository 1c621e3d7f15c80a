//! The zip archive of a bundle, to the byte: written so, and read only so.
//!
//! Entries are stored as they are, one behind the other from the first byte on, in the order of their names but for
//! `SHA256SUMS`, which comes last; then the central directory, and its end at the last byte. Every entry is of 1 January
//! 1980, 0644, without comment; zip64 fields stand only where a number needs them. So the same files give the same archive.
//!
//! A reader that insists on this form needs no defence for each trick: no two entries can overlap or have the same name, and
//! nothing can unpack to more than the archive holds. An archive that another program made is unpacked, and verified as a
//! folder.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// The file that names all others.
pub const SUMS: &str = "SHA256SUMS";

/// Numbers from here on stand in zip64 fields.
const ZIP64: u64 = 0xffff_ffff;

/// An entry: what is known of it before its bytes are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// How many bytes.
    pub size: u64,
    /// Their CRC-32.
    pub crc: u32,
}

impl Entry {
    /// The header in front of its bytes.
    fn local_header(&self) -> Vec<u8> {
        let large = self.size >= ZIP64;
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(version(large).to_le_bytes());
        self.common(&mut header, large);
        header.extend((if large { 20_u16 } else { 0 }).to_le_bytes());
        header.extend(self.name.as_bytes());
        if large {
            header.extend([1, 0, 16, 0]);
            header.extend(self.size.to_le_bytes());
            header.extend(self.size.to_le_bytes());
        }
        header
    }

    /// Its record in the central directory.
    fn record(&self, offset: u64) -> Vec<u8> {
        let (large, far) = (self.size >= ZIP64, offset >= ZIP64);
        let mut extra = Vec::new();
        if large {
            extra.extend(self.size.to_le_bytes());
            extra.extend(self.size.to_le_bytes());
        }
        if far {
            extra.extend(offset.to_le_bytes());
        }
        if !extra.is_empty() {
            extra.splice(
                ..0,
                [1, 0, if large && far { 24 } else { 8 << u8::from(large) }, 0],
            );
        }
        let mut record = b"PK\x01\x02".to_vec();
        // Made on Unix, so that the mode counts.
        record.extend([version(large || far).to_le_bytes()[0], 3]);
        record.extend(version(large || far).to_le_bytes());
        self.common(&mut record, large);
        record.extend(u16::try_from(extra.len()).unwrap_or_default().to_le_bytes());
        // No comment, on the first disk, no internal attributes.
        record.extend([0; 6]);
        record.extend((0o100_644_u32 << 16).to_le_bytes());
        record.extend(small(offset).to_le_bytes());
        record.extend(self.name.as_bytes());
        record.extend(extra);
        record
    }

    /// What stands in both: flags, method, time, date, CRC, sizes, the name's length.
    fn common(&self, header: &mut Vec<u8>, large: bool) {
        header.extend([0, 0, 0, 0, 0, 0, 0x21, 0]);
        header.extend(self.crc.to_le_bytes());
        let size = if large { ZIP64 } else { self.size };
        header.extend(small(size).to_le_bytes());
        header.extend(small(size).to_le_bytes());
        header.extend(u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
    }
}

fn version(zip64: bool) -> u16 {
    if zip64 { 45 } else { 10 }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What stands behind the central directory.
fn end(entries: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut end = Vec::new();
    if entries >= 0xffff || size >= ZIP64 || offset >= ZIP64 {
        end.extend(b"PK\x06\x06");
        end.extend(44_u64.to_le_bytes());
        end.extend([45, 3, 45, 0]);
        end.extend([0; 8]);
        for number in [entries, entries, size, offset] {
            end.extend(number.to_le_bytes());
        }
        end.extend(b"PK\x06\x07");
        end.extend([0; 4]);
        end.extend((offset + size).to_le_bytes());
        end.extend(1_u32.to_le_bytes());
    }
    let count = u16::try_from(entries).unwrap_or(u16::MAX);
    end.extend(b"PK\x05\x06");
    end.extend([0; 4]);
    end.extend(count.to_le_bytes());
    end.extend(count.to_le_bytes());
    end.extend(small(size).to_le_bytes());
    end.extend(small(offset).to_le_bytes());
    end.extend([0; 2]);
    end
}

/// Writes an archive from its beginning to its end, without going back.
pub struct Writer<W> {
    to: W,
    at: u64,
    /// The central directory so far: it is what has to be kept.
    directory: Vec<u8>,
    entries: u64,
    left: u64,
}

impl<W: Write> Writer<W> {
    /// An archive without entries yet.
    pub fn new(to: W) -> Self {
        Self {
            to,
            at: 0,
            directory: Vec::new(),
            entries: 0,
            left: 0,
        }
    }

    /// Begins an entry; its bytes are written next, exactly as many as it says.
    pub fn begin(&mut self, entry: &Entry) -> io::Result<()> {
        self.whole()?;
        let header = entry.local_header();
        self.directory.extend(entry.record(self.at));
        self.to.write_all(&header)?;
        self.at += header.len() as u64 + entry.size;
        self.entries += 1;
        self.left = entry.size;
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.whole()?;
        self.to.write_all(&self.directory)?;
        let end = end(self.entries, self.directory.len() as u64, self.at);
        self.to.write_all(&end)?;
        Ok(self.to)
    }

    fn whole(&self) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        Err(io::Error::other(
            "an entry got fewer bytes than it was begun with",
        ))
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("an entry got more bytes than it was begun with"));
        }
        let written = self.to.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// An archive can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// It is not to the byte as evidenced writes it.
    #[error("{0}")]
    Refused(String),
    /// The operating system refused.
    #[error("can't be read")]
    Io(#[from] io::Error),
}

fn refused<T>(why: impl Into<String>) -> Result<T, ZipError> {
    Err(ZipError::Refused(why.into()))
}

/// Reads what entries an archive has, with where each one's bytes begin; `accept` says whether a name may stand behind the one
/// before it.
pub fn entries(
    from: &mut (impl Read + Seek),
    mut accept: impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<(Entry, u64)>, ZipError> {
    let length = from.seek(SeekFrom::End(0))?;
    let (count, size, offset) = directory(from, length)?;
    from.seek(SeekFrom::Start(offset))?;
    let mut directory = io::BufReader::with_capacity(1 << 16, from.take(size));
    let (mut entries, mut at, mut read) = (Vec::new(), 0_u64, 0_u64);
    for _ in 0..count {
        let (entry, record) = record(&mut directory)?;
        accept(&entry.name).or_else(refused)?;
        if entry.record(at) != record {
            return refused(format!(
                "{:?} overlaps another entry, or is not recorded as evidenced does: unpack the archive and verify the folder",
                entry.name
            ));
        }
        read += record.len() as u64;
        let begin = at + entry.local_header().len() as u64;
        at = match begin.checked_add(entry.size) {
            Some(end) if end <= offset => end,
            _ => return refused(format!("{:?} is longer than the archive", entry.name)),
        };
        entries.push((entry, begin));
    }
    if at != offset || read != size {
        return refused("there are bytes in the archive that belong to no entry");
    }
    Ok(entries)
}

/// How many entries the central directory has, its size and where it begins.
fn directory(from: &mut (impl Read + Seek), length: u64) -> Result<(u64, u64, u64), ZipError> {
    // With its zip64 forms, the end takes 98 bytes.
    let mut tail = Vec::new();
    from.seek(SeekFrom::Start(length.saturating_sub(98)))?;
    from.take(98).read_to_end(&mut tail)?;
    let long = tail.len() == 98 && tail.starts_with(b"PK\x06\x06");
    let at = if long { 0 } else { tail.len().saturating_sub(22) };
    let short = &tail[at..];
    if !long && !short.starts_with(b"PK\x05\x06") {
        return refused("it is no zip archive, is cut off, or something stands behind its end");
    }
    let number = |at: usize, bytes: usize| -> u64 {
        let digits = short.iter().skip(at).take(bytes).rev();
        digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let found = if long {
        (number(32, 8), number(40, 8), number(48, 8))
    } else {
        (number(10, 2), number(12, 4), number(16, 4))
    };
    let (count, size, offset) = found;
    let fits = offset
        .checked_add(size)
        .and_then(|end| end.checked_add((tail.len() - at) as u64))
        .is_some_and(|end| end == length);
    if !fits || count > size || end(count, size, offset) != short {
        return refused("its end is not as evidenced writes it: unpack the archive and verify the folder");
    }
    Ok(found)
}

/// The next record, as it should be and as it is.
fn record(from: &mut impl Read) -> Result<(Entry, Vec<u8>), ZipError> {
    let mut record = vec![0; 46];
    if from.read_exact(&mut record).is_err() || !record.starts_with(b"PK\x01\x02") {
        return refused("its directory is cut off, or not one");
    }
    let number = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    let long = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let (flags, method, name, extra) = (number(8), number(10), number(28), number(30));
    let (crc, size, mode) = (long(16), u64::from(long(24)), long(38) >> 16);
    let mut rest = vec![0; usize::from(name) + usize::from(extra)];
    if from.read_exact(&mut rest).is_err() {
        return refused("its directory is cut off");
    }
    record.extend(&rest);
    let (name, extra) = rest.split_at(usize::from(name));
    let name = String::from_utf8_lossy(name).into_owned();
    if flags & 1 == 1 {
        return refused(format!("{name:?} is encrypted"));
    }
    if method != 0 {
        return refused(format!(
            "{name:?} is compressed, and evidenced stores as it is: unpack the archive and verify the folder"
        ));
    }
    if mode & 0o170_000 == 0o120_000 {
        return refused(format!("{name:?} is a link"));
    }
    let large = extra.get(4..12).filter(|_| size == ZIP64);
    let size = large
        .and_then(|size| size.try_into().ok())
        .map_or(size, u64::from_le_bytes);
    Ok((Entry { name, size, crc }, record))
}

/// Goes to an entry's bytes, which `entries` found to begin at `begin`, and insists on the header in front of them.
pub fn go_to(from: &mut (impl Read + Seek), entry: &Entry, begin: u64) -> Result<(), ZipError> {
    let expected = entry.local_header();
    let mut header = vec![0; expected.len()];
    from.seek(SeekFrom::Start(begin - expected.len() as u64))?;
    from.read_exact(&mut header)?;
    if header == expected {
        return Ok(());
    }
    refused(format!(
        "{:?} has another header than the directory says",
        entry.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn entry(name: &str, bytes: &[u8]) -> Entry {
        Entry {
            name: name.to_owned(),
            size: bytes.len() as u64,
            crc: crc32fast::hash(bytes),
        }
    }

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (name, bytes) in files {
            writer.begin(&entry(name, bytes)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let files: [(&str, &[u8]); 3] = [("a", b""), ("b/c", b"hello"), ("d", b"x")];
        let mut archive = Cursor::new(archive(&files));
        let found = entries(&mut archive, |_| Ok(())).unwrap();
        assert_eq!(found.len(), 3);
        for ((name, bytes), (found, begin)) in files.iter().zip(&found) {
            assert_eq!(*found, entry(name, bytes));
            go_to(&mut archive, found, *begin).unwrap();
            let mut read = vec![0; bytes.len()];
            archive.read_exact(&mut read).unwrap();
            assert_eq!(read, *bytes);
        }
    }

    #[test]
    fn every_changed_byte_but_those_of_the_files_is_noticed() {
        let good = archive(&[("a", b"A"), ("b", b"B")]);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                let mut changed = Cursor::new(changed);
                let in_order = |name: &str| match name {
                    "a" | "b" => Ok(()),
                    _ => Err("another name".to_owned()),
                };
                let found = entries(&mut changed, in_order).and_then(|found| {
                    for (entry, begin) in &found {
                        go_to(&mut changed, entry, *begin)?;
                    }
                    Ok(found)
                });
                assert_eq!(found.is_ok(), at == 31 || at == 63, "bit {bit} of byte {at}");
            }
        }
        for cut in 0..good.len() {
            assert!(entries(&mut Cursor::new(&good[..cut]), |_| Ok(())).is_err());
        }
        let longer = [good.as_slice(), b"x"].concat();
        assert!(entries(&mut Cursor::new(longer), |_| Ok(())).is_err());
        let moved = [b"x", good.as_slice()].concat();
        assert!(entries(&mut Cursor::new(moved), |_| Ok(())).is_err());
    }

    #[test]
    fn an_entry_gets_as_many_bytes_as_it_was_begun_with() {
        let mut writer = Writer::new(Vec::new());
        writer.begin(&entry("a", b"12")).unwrap();
        assert!(writer.write_all(b"123").is_err());
        writer.write_all(b"1").unwrap();
        assert!(writer.begin(&entry("b", b"")).is_err());
        assert!(writer.finish().is_err());
    }

    #[test]
    fn numbers_beyond_32_bits_stand_in_zip64_fields() {
        let large = Entry {
            name: "a".to_owned(),
            size: ZIP64 + 7,
            crc: 0,
        };
        for offset in [0, ZIP64 + 9] {
            let bytes = large.record(offset);
            let (read, raw) = record(&mut bytes.as_slice()).unwrap();
            assert_eq!((&read, &raw), (&large, &bytes));
        }
        let small = Entry { size: 7, ..large };
        let bytes = small.record(ZIP64 + 9);
        assert_eq!(record(&mut bytes.as_slice()).unwrap().0, small);
    }

    #[test]
    fn many_entries_are_counted_in_zip64() {
        let mut writer = Writer::new(Vec::new());
        for number in 0..70_000 {
            writer.begin(&entry(&format!("{number:06}"), b"")).unwrap();
        }
        let archive = writer.finish().unwrap();
        assert_eq!(
            entries(&mut Cursor::new(archive), |_| Ok(())).unwrap().len(),
            70_000
        );
    }
}
