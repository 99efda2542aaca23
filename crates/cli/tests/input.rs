//! Where `pagepress bench` takes pages from: core files, sparse files, cgroups.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PAGE: u64 = 4096;
const TIB: u64 = 1 << 40;

fn pagepress() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["bench", "--seconds", "0", "--repeats", "1"]);
    command.args(["--backend", "lz4"]);
    command
}

/// Runs to a good end, every page verified, and returns what was taken.
fn input(command: &mut Command) -> Value {
    let output = command.args(["--format", "json"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &json["runs"][0];
    assert_eq!(
        (&run["verified"], &run["pages"]),
        (&true.into(), &json["input"]["pages"])
    );
    json["input"].take()
}

/// A line on stderr, none on stdout, exit code 2.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(output.stdout, b"");
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// Pages of which no two are the same.
fn pages(count: u64, seed: u64) -> Vec<u8> {
    let words = (0..count * PAGE / 8).flat_map(|i| (i * i + seed).to_le_bytes());
    words.collect()
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was skipped for a reason that begins like this.
fn skipped(input: &Value, why: &str) -> u64 {
    let skipped = input["skipped"].as_array().unwrap();
    let mut same = skipped
        .iter()
        .filter(|it| it["why"].as_str().unwrap().starts_with(why));
    let count = same.next().map_or(0, |it| it["count"].as_u64().unwrap());
    assert!(same.next().is_none(), "{input}");
    count
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    bytes: Vec<u8>,
}

/// A core file with its headers in front.
fn write_core(path: &Path, segments: &[Segment]) -> File {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(64, 0);
    head[16] = 4;
    head[18] = 62;
    head[32] = 64;
    head[54] = 56;
    head[56] = segments.len() as u8;
    let file = File::create(path).unwrap();
    for it in segments {
        let len = it.bytes.len() as u64;
        let words = [it.kind.into(), it.offset, it.address, 0, len, len, PAGE];
        head.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        file.write_all_at(&it.bytes, it.offset).unwrap();
    }
    file.write_all_at(&head, 0).unwrap();
    file
}

/// Notes, a segment as the kernel writes it, one that was not dumped, one as gdb
/// does, one that begins and ends within a page.
fn segments() -> Vec<Segment> {
    let segment = |kind, offset, address, bytes| Segment {
        kind,
        offset,
        address,
        bytes,
    };
    let mut half = pages(3, 3);
    half.truncate(2 * PAGE as usize + 3000);
    vec![
        segment(4, 0x400, 0, vec![b'n'; 0x500]),
        segment(1, 0x1000, 0x5000, pages(4, 1)),
        segment(1, 0x5000, 0x40_0000, Vec::new()),
        segment(1, 0x5123, 0x7f_0000, pages(3, 2)),
        segment(1, 0x9000, 0x80_0f00, half),
    ]
}

#[test]
fn a_core_file_is_its_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("core");
    let segments = segments();
    write_core(&path, &segments);
    // Two whole pages behind the first 256 bytes.
    let last = &segments[4].bytes[0x100..][..2 * PAGE as usize];
    let memory = [&segments[1].bytes, &segments[3].bytes, last].concat();
    let input = self::input(pagepress().arg(&path));
    let source = &input["sources"][0];
    assert_eq!(
        (&source["kind"], &source["segments"]),
        (&"core".into(), &3.into())
    );
    assert_eq!(
        (&source["files"], &source["bytes"]),
        (&1.into(), &(9 * PAGE).into())
    );
    assert_eq!(
        (&input["pages"], &input["padded_pages"]),
        (&9.into(), &0.into())
    );
    assert_eq!(input["sha256"], sha256(&memory));
    assert_eq!(skipped(&input, "not whole"), 2);

    let output = pagepress().arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("core (core file: 3 segments, 36 KiB)"),
        "{text}"
    );

    // Found in a directory, it is a file like any other.
    let input = self::input(pagepress().arg(dir.path()));
    let len = fs::metadata(&path).unwrap().len();
    assert_eq!(
        (&input["sources"][0]["kind"], &input["bytes"]),
        (&"directory".into(), &len.into())
    );
}

#[test]
fn a_core_file_that_cannot_be_taken_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("core");
    let file = write_core(&path, &segments());
    let len = file.metadata().unwrap().len();
    for cut in [18, 63, 64, 200, 0x4fff, len - 1] {
        let file = write_core(&path, &segments());
        file.set_len(cut).unwrap();
        let told = refused(pagepress().arg(&path));
        assert!(told.contains("core: the core file is cut short"), "{told}");
        assert!(told.contains(&format!("the file at {cut}")), "{told}");
    }
    let broken: [(u64, &[u8], &str); 5] = [
        (4, &[1], "32-bit"),
        (5, &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4], "big-endian"),
        (54, &[55], "55 bytes, not 56"),
        (56, &[0], "no whole page"),
        (64 + 56 + 8, &[0xff; 8], "has no end"),
    ];
    for (at, bytes, why) in broken {
        let file = write_core(&path, &segments());
        file.write_all_at(bytes, at).unwrap();
        let told = refused(pagepress().arg(&path));
        assert!(told.contains(why), "{told}");
    }
    // Not a core: a program.
    let file = write_core(&path, &segments());
    file.write_all_at(&[3], 16).unwrap();
    let input = self::input(pagepress().arg(&path));
    assert_eq!(
        (&input["sources"][0]["kind"], &input["bytes"]),
        (&"file".into(), &len.into())
    );
}

/// Makes a file of a TiB with these bytes in it; none where holes take room.
fn sparse(path: &Path, parts: &[(u64, &[u8])]) -> Option<File> {
    let file = File::create(path).unwrap();
    let grown = file.set_len(TIB);
    for &(offset, bytes) in parts {
        file.write_all_at(bytes, offset).unwrap();
    }
    file.sync_all().unwrap();
    if grown.is_err() || file.metadata().unwrap().blocks() > 1 << 20 {
        println!("skipped: this file system has no sparse files");
        return None;
    }
    Some(file)
}

/// Were holes read, this would take hours.
#[test]
fn holes_are_counted_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memory");
    // In multiples of what any file system keeps together.
    let (first, second) = (pages(256, 1), pages(16, 2));
    let parts: [(u64, &[u8]); 2] = [(1 << 30, &first), (TIB / 2, &second)];
    let Some(file) = sparse(&path, &parts) else {
        return;
    };
    let check = |input: &Value, data: &[u8]| {
        let pages = data.len() as u64 / PAGE;
        assert_eq!(input["pages"], pages);
        assert_eq!(input["sources"][0]["bytes"], data.len());
        assert_eq!(skipped(input, "holes"), TIB / PAGE - pages);
        assert_eq!(input["sha256"], sha256(data));
    };
    let data = [first, second].concat();
    check(&input(pagepress().arg(&path)), &data);
    check(&input(pagepress().arg(dir.path())), &data);
    // Where a TiB cannot be mapped.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -v 8000000; exec \"$0\" bench --seconds 0 --repeats 1 \"$@\"",
    ]);
    shell.arg(env!("CARGO_BIN_EXE_pagepress")).arg(&path);
    check(&input(shell.args(["--backend", "lz4"])), &data);

    file.set_len(0).unwrap();
    file.set_len(TIB + 1).unwrap();
    let told = refused(pagepress().arg(&path));
    let holes = TIB / PAGE + 1;
    assert!(
        told.contains(&format!("no page; skipped: {holes} pages: holes")),
        "{told}"
    );
}

#[test]
fn holes_of_a_core_file_are_skipped_on_its_own_grid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("core");
    // From a byte that no page of the file begins with to its end.
    let start = 0x1008;
    let data = pages(2, 5);
    let at = start + 1000 * PAGE;
    if sparse(&path, &[(at, &data)]).is_none() {
        return;
    }
    let head = write_core(
        &dir.path().join("head"),
        &[Segment {
            kind: 1,
            offset: start,
            address: 0x1000,
            bytes: Vec::new(),
        }],
    );
    drop(head);
    let mut head = fs::read(dir.path().join("head")).unwrap();
    head[64 + 32..64 + 40].copy_from_slice(&(TIB - 2 * PAGE).to_le_bytes());
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&head, 0).unwrap();
    let input = self::input(pagepress().arg(&path));
    let pages = input["pages"].as_u64().unwrap();
    assert_eq!(skipped(&input, "holes") + pages, TIB / PAGE - 2);
    // Two pages of data lie in three of the file, so some neighbours are taken too.
    assert!((2..=64).contains(&pages), "{input}");
    let zeroes = |pages: u64| vec![0; (pages * PAGE) as usize];
    let mut taken =
        (0..=pages - 2).map(|n| sha256(&[zeroes(n), data.clone(), zeroes(pages - 2 - n)].concat()));
    assert!(taken.any(|hash| input["sha256"] == *hash), "{input}");
}

/// A process with memory of its own, killed when dropped.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holder {
    /// This test program again, as `holds_memory`.
    fn start() -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "holds_memory", "--nocapture"])
            .env("PAGEPRESS_TEST_HOLDER", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        let stdin = holder.0.stdin.as_mut().unwrap();
        stdin.write_all(b"begin\n").unwrap();
        let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("holding")));
        holder
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn anonymous_pages(&self) -> u64 {
        let smaps = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap();
        let line = smaps.lines().find(|line| line.starts_with("Anonymous:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1024 / PAGE
    }
}

const HELD: u64 = 300;

/// Not a test of its own: what `Holder::start` runs.
#[test]
fn holds_memory() {
    if std::env::var_os("PAGEPRESS_TEST_HOLDER").is_none() {
        return;
    }
    let held = pages(HELD, 7);
    let mut line = String::with_capacity(64);
    // Reading and writing touch no further page the second time.
    for _ in 0..2 {
        std::io::stdin().read_line(&mut line).unwrap();
        println!("holding");
    }
    assert_eq!(held.len() as u64, HELD * PAGE);
}

/// A cgroup and one in it, removed when dropped; its processes must be gone.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Left behind if a process will not go.
        let _ = fs::remove_dir(self.0.join("sub"));
        let _ = fs::remove_dir(&self.0);
    }
}

impl Cgroup {
    /// Where that is allowed, in whatever hierarchy.
    fn create(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let at = mounts.lines().filter(|line| line.contains(" - cgroup"));
        // A cpuset takes no process before it has CPUs.
        let at = at.filter(|line| !line.contains("cpuset"));
        at.filter_map(|line| line.split(' ').nth(4)).find_map(|at| {
            let dir = Path::new(at).join(name);
            let made = fs::create_dir(&dir).and_then(|()| fs::create_dir(dir.join("sub")));
            let cgroup = Self(dir);
            made.is_ok().then_some(cgroup)
        })
    }

    fn take(&self, below: &str, pid: u32) -> std::io::Result<()> {
        fs::write(self.0.join(below).join("cgroup.procs"), pid.to_string())
    }
}

fn own_cgroup() -> Option<String> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let paths = cgroups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2));
    paths.max_by_key(|path| path.len()).map(str::to_owned)
}

#[test]
fn a_cgroup_is_all_of_its_processes() {
    let name = format!("pagepress-test-{}", std::process::id());
    let Some(cgroup) = Cgroup::create(&name) else {
        println!("no cgroup may be made here: this process' own is used");
        let Some(own) = own_cgroup() else {
            println!("skipped: this system has no cgroups");
            return;
        };
        let _holder = Holder::start();
        let input = input(pagepress().args(["--cgroup", &own, "--pid-pages", "16"]));
        assert!(input["sources"][0]["processes"].as_u64().unwrap() >= 1);
        return;
    };
    let told = refused(pagepress().arg("--cgroup").arg(&cgroup.0));
    assert!(
        told.contains("no process is in it or its subgroups"),
        "{told}"
    );
    let holders = [Holder::start(), Holder::start()];
    for (holder, below) in holders.iter().zip(["", "sub"]) {
        if let Err(error) = cgroup.take(below, holder.pid()) {
            println!(
                "skipped: a process may not be moved to {:?}: {error}",
                cgroup.0
            );
            return;
        }
    }
    let held = holders.iter().map(Holder::anonymous_pages).sum::<u64>();
    // By its directory, and by the path that /proc/PID/cgroup shows.
    let shown = fs::read_to_string(format!("/proc/{}/cgroup", holders[0].pid())).unwrap();
    let line = shown.lines().find(|line| line.ends_with(&name));
    let path = line.unwrap().splitn(3, ':').nth(2).unwrap();
    for path in [cgroup.0.to_str().unwrap(), path] {
        let input = input(pagepress().args(["--cgroup", path]));
        let source = &input["sources"][0];
        assert_eq!(
            (&source["kind"], &source["processes"]),
            (&"cgroup".into(), &2.into())
        );
        assert_eq!(source["name"], format!("cgroup {path}"));
        assert_eq!(input["pages"], held);
        assert!(held >= 2 * HELD);
    }
    let limited = ["--pid-pages", "64", "--cgroup", path];
    let input = input(pagepress().args(limited));
    assert_eq!(
        (&input["pages"], &input["sources"][0]["of_pages"]),
        (&128.into(), &held.into())
    );
    drop(holders);
}

/// A directory that lists processes, as one of cgroups does, some of them gone.
#[test]
fn processes_that_vanished_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (holder, procs) = (Holder::start(), dir.path().join("cgroup.procs"));
    // The second is beyond any pid that Linux gives.
    fs::write(&procs, format!("{}\n4194305\n2\n", holder.pid())).unwrap();
    let input = input(pagepress().arg("--cgroup").arg(dir.path()));
    assert_eq!(input["sources"][0]["processes"], 1);
    assert_eq!(input["pages"], holder.anonymous_pages());
    assert!(skipped(&input, "gone meanwhile") >= 1);

    fs::write(&procs, "4194305\n4194306\n").unwrap();
    let told = refused(pagepress().arg("--cgroup").arg(dir.path()));
    let why = "none of its processes can be measured: 2 gone meanwhile";
    assert!(told.contains(why), "{told}");
    let told = refused(pagepress().args(["--cgroup", "/no/such/cgroup"]));
    assert!(
        told.contains("--cgroup /no/such/cgroup: there is no such cgroup"),
        "{told}"
    );
}
