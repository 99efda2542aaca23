//! What `pagepress bench` does where it cannot do what it was asked: one line on
//! stderr, exit code 2, and no results, not even a part of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NOBODY: u32 = 65534;
const PAGE: usize = 4096;

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Copies a program. Not by this process: a child that another test starts just
/// then would hold the file open for writing, and nobody could run it.
fn copied(from: &str, to: &Path) {
    let done = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// A directory that everybody may look into, and the command in it, where
/// everybody may run it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        place.allow("", 0o755);
        copied(env!("CARGO_BIN_EXE_pagepress"), &place.at("pagepress"));
        place.allow("pagepress", 0o755);
        fs::write(place.at("input"), b"some text ".repeat(PAGE)).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn directory(&self, name: &str, mode: u32) {
        fs::create_dir(self.at(name)).unwrap();
        self.allow(name, mode);
    }

    /// As a user without privileges.
    fn bench(&self, args: &[&str]) -> Command {
        let mut command = self.as_ourselves(args);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn as_ourselves(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.at("pagepress"));
        command
            .args([
                "bench",
                "--seconds",
                "0",
                "--repeats",
                "1",
                "--backend",
                "lz4",
            ])
            .args(["--format", "json"])
            .args(args);
        command
    }
}

/// One line on stderr, nothing on stdout, exit code 2.
fn refused(output: &Output, why: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{why}: {told}");
    assert_eq!(output.stdout, b"", "{why}");
    assert!(
        told.lines().count() == 1 && told.starts_with("pagepress: ") && told.contains(why),
        "{why}: {told}"
    );
}

/// All names below the directory.
fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(self::names(&path));
        }
        names.push(path);
    }
    names.sort();
    names
}

/// The id of a process that was there.
fn gone() -> String {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id().to_string()
}

#[test]
fn wrong_use_is_one_line_and_no_file() {
    let place = Place::new();
    let input = place.text("input");
    fs::write(place.at("empty"), "").unwrap();
    fs::write(place.at("secret"), [1; PAGE]).unwrap();
    place.allow("secret", 0o000);
    place.directory("nothing", 0o755);
    place.directory("only-empty", 0o755);
    fs::write(place.at("only-empty/empty"), "").unwrap();
    place.directory("locked", 0o700);
    place.allow("locked", 0o000);
    place.directory("read-only", 0o555);
    // A rename would replace what is in it.
    place.directory("all", 0o777);
    fs::write(place.at("all/kept"), "kept").unwrap();
    place.allow("all/kept", 0o444);
    let at = |name: &str| place.text(name);
    let gone = gone();
    let (empty, secret, nothing) = (at("empty"), at("secret"), at("nothing"));
    let (only_empty, locked) = (at("only-empty"), at("locked"));
    let (out, missing) = (at("all/out"), at("all/none/out"));
    let (read_only, kept) = (at("read-only/out"), at("all/kept"));
    let from_file: &[&str] = &[&input];
    let cases: [(&[&str], &str, &str); 31] = [
        // What is measured.
        (
            &["--pid", "1"],
            &out,
            "--pid 1: permission denied: run as the same user",
        ),
        (&["--pid", &gone], &out, "no such process"),
        (&["--pid", "0"], &out, "0 is not in 1.."),
        (
            &["--pid", "me"],
            &out,
            "invalid value 'me' for '--pid <PID>'",
        ),
        (&[&secret], &out, "secret: Permission denied"),
        (&[&input, &secret], &out, "secret: Permission denied"),
        (&[&locked], &out, "locked: Permission denied"),
        (&[&empty], &out, "the input is empty: it holds no page"),
        (&[&nothing], &out, "the input is empty: it holds no page"),
        (&[&only_empty], &out, "the input is empty: it holds no page"),
        (&["none"], &out, "none: No such file or directory"),
        (
            &[&input, "--skip-same-filled", "none"],
            &out,
            "none: No such file",
        ),
        // How.
        (
            &[&input, "--batch", "0"],
            &out,
            "'0' for '--batch <N>': it must be a whole number from 1 to",
        ),
        (&[&input, "--batch", "8,"], &out, "from 1 to"),
        (
            &[&input, "--unit-size", "3000"],
            &out,
            "there are 4k, 8k, 16k, 32k and 64k",
        ),
        (&[&input, "--threads", "0"], &out, "from 1 to"),
        (
            &[&input, "--backend", "gzip"],
            &out,
            "there are auto, iaa, lz4",
        ),
        (
            &[&input, "--backend", "zstd:99"],
            &out,
            "zstd has no level 99",
        ),
        (
            &[&input, "--backend", "deflate:-4"],
            &out,
            "deflate has no level -4",
        ),
        (
            &[&input, "--backend", "zstd", "--level", "1000"],
            &out,
            "zstd has no level 1000",
        ),
        (
            &[&input, "--backend", "iaa:best"],
            &out,
            "a device has fixed, dynamic or canned codes",
        ),
        (
            &[&input, "--backend", "deflate:canned"],
            &out,
            "deflate:canned needs --tables FILE",
        ),
        (
            &[&input, "--tables", "none"],
            &out,
            "--tables applies to canned codes",
        ),
        (
            &[&input, "--backend", "model:canned", "--tables", "none"],
            &out,
            "none: No such file or directory",
        ),
        (
            &[&input, "--backend", "model:canned", "--tables", &input],
            &out,
            "input: these are no tables",
        ),
        // Where to.
        (from_file, &missing, "none/out: No such file or directory"),
        (from_file, &nothing, "nothing: Is a directory"),
        (from_file, &read_only, "read-only/out: Permission denied"),
        (from_file, &kept, "kept: Permission denied"),
        (from_file, "/", "writing /: Is a directory"),
        (from_file, "", "a value is required for '--output <FILE>'"),
    ];
    place.allow("locked", 0o755);
    let before = names(place.dir.path());
    place.allow("locked", 0o000);
    for (args, output, why) in cases {
        let done = place
            .bench(args)
            .args(["--output", output])
            .output()
            .unwrap();
        refused(&done, why);
        place.allow("locked", 0o755);
        assert_eq!(names(place.dir.path()), before, "{args:?}");
        place.allow("locked", 0o000);
    }
    assert_eq!(fs::read(place.at("all/kept")).unwrap(), b"kept");
    // All of that is refused for what it is: this is not.
    let done = place
        .bench(from_file)
        .args(["--output", &out])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(names(place.dir.path()).len(), before.len() + 1);
    place.allow("locked", 0o755);
}

#[test]
fn a_full_disk_is_one_line_and_leaves_no_part() {
    let place = Place::new();
    let input = place.text("input");
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let done = place.bench(&[&input]).stdout(full()).output().unwrap();
    refused(&done, "writing standard output: No space left on device");
    let device = place.bench(&[&input, "--output", "/dev/full"]).output();
    refused(
        &device.unwrap(),
        "writing /dev/full: No space left on device",
    );

    if !is_root() {
        println!("not tried: only root can mount a small file system");
        return;
    }
    // Gone with the namespace that it is mounted in. What is there already takes
    // most of it, and stays as it is.
    fs::create_dir(place.at("small")).unwrap();
    let script = r#"mount -t tmpfs -o size=8k tmpfs "$1" || exit 77
        echo old > "$1/out" || exit 78
        "$2" bench --seconds 0 --repeats 1 --backend lz4,zstd,deflate,model --threads 1,2 \
            --format json --output "$1/out" "$3"
        code=$?
        [ "$(cat "$1/out")" = old ] && [ "$(ls -A "$1")" = out ] || exit 79
        exit $code"#;
    let [small, command] = ["small", "pagepress"].map(|name| place.text(name));
    let done = Command::new("unshare")
        .args([
            "--mount", "sh", "-c", script, "sh", &small, &command, &input,
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    if done.status.code() == Some(77) || told.contains("unshare") {
        println!("not tried: this system lets nobody mount: {told}");
        return;
    }
    refused(&done, "small/out: No space left on device");
}

/// A reader that has seen enough is none, whatever is printed to it.
#[test]
fn a_closed_stdout_is_no_error() {
    let place = Place::new();
    let input = place.text("input");
    for format in ["json", "text", "csv"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(place.at("pagepress"));
        command
            .args([
                "bench",
                "--seconds",
                "0",
                "--backend",
                "lz4",
                "--format",
                format,
                &input,
            ])
            .stdout(writer);
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(done.stderr, b"");
    }
}
