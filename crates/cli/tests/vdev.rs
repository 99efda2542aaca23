//! `pagepress vdev run` as people use it: all but what the preloaded library does.
#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A directory for one test, and one in it that the command is to leave empty.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// `vdev run` with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
        command.args(["vdev", "run"]).args(arguments);
        command.env("TMPDIR", self.at("tmp"));
        command
            .env_remove("PAGEPRESS_VDEV")
            .env_remove("LD_PRELOAD");
        command
    }

    /// Runs it; it leaves nothing behind.
    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.is_clean();
        output
    }

    fn is_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.at("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// What the command would show, as a copy.
    fn laid(&self, arguments: &[&str]) -> Value {
        let script = format!("cp -a \"$PAGEPRESS_VDEV\" {}", self.text("laid"));
        let output = self.run(&[arguments, &["--", "sh", "-c", &script]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let config = fs::read(self.at("laid/config.json")).unwrap();
        serde_json::from_slice(&config).unwrap()
    }

    /// A program for this processor that has no loader, as static ones.
    fn static_program(&self, name: &str) {
        let mut program = fs::read("/proc/self/exe").unwrap();
        let number = |at: usize| usize::from(program[at]) | usize::from(program[at + 1]) << 8;
        let (table, segments) = (number(32), number(56));
        for at in (0..segments).map(|segment| table + 56 * segment) {
            if program[at..at + 4] == [3, 0, 0, 0] {
                program[at] = 0;
            }
        }
        fs::write(self.at(name), program).unwrap();
        self.allow(name, 0o755);
    }

    /// A copy, by another process: children of this one might hold it open for writing.
    fn copied(&self, from: &Path, name: &str) {
        let done = Command::new("cp").args([from, &self.at(name)]).status();
        assert!(done.unwrap().success());
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    let parsed = serde_json::from_slice(&output.stdout);
    parsed.unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// A library that can be preloaded and does nothing of ours: libc, which is there
/// anyway.
fn other_library() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    paths
        .find(|path| path.ends_with("/libc.so.6"))
        .unwrap()
        .to_owned()
}

/// One line, no directory, and COMMAND is not run.
#[test]
fn wrong_use_is_refused_before_anything_is_done() {
    let place = Place::new();
    place.static_program("static");
    let ran = place.text("ran");
    let touch = ["--", "touch", ran.as_str()];
    let (stat, missing) = (place.text("static"), place.text("no/such/file"));
    for (arguments, said) in [
        (&["--fault", "nevr@#3"][..], "there is no such fault"),
        (&["--fault", "seed:3"], "no rule"),
        (&["--fault", "late@x"], "fault `late@x`"),
        (&["--devices", "0"], "1..=16"),
        (&["--devices", "17"], "1..=16"),
        (&["--size", "129"], "1..=128"),
        (
            &["--size", "8", "--threshold", "9"],
            "--threshold 9 is more than the 8",
        ),
        (
            &["--wq", "dedicated", "--threshold", "9"],
            "for shared queues",
        ),
        (&["--profile", "gen3"], "gen1, gen2"),
        (&["--stats=xml"], "text, json"),
        (
            &["--library", &missing],
            "`cargo build --release --workspace` makes it",
        ),
        (&["--trace", &missing], &missing),
        (&["--no-such-option"], "unexpected argument"),
        (&["--", &stat], "it is linked statically"),
    ] {
        let output = place.run(&[arguments, &touch].concat());
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(
            error.starts_with("pagepress: ") && error.contains(said),
            "{error}"
        );
    }
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("COMMAND"), "{}", stderr(&output));
    assert!(!place.at("ran").exists());

    let nested = place
        .command(&touch)
        .env("PAGEPRESS_VDEV", "/x")
        .output()
        .unwrap();
    assert_eq!(nested.status.code(), Some(2));
    assert!(stderr(&nested).contains("already"), "{}", stderr(&nested));
    assert!(!place.at("ran").exists());
    assert!(place.run(&touch).status.success());
    assert!(place.at("ran").exists());
}

/// The command's own binary, where no library was built with it.
#[test]
fn a_library_that_is_nowhere_is_looked_for_everywhere() {
    let place = Place::new();
    fs::create_dir_all(place.at("some/bin")).unwrap();
    let copied = Command::new("cp")
        .args([env!("CARGO_BIN_EXE_pagepress"), &place.text("some/bin/")])
        .status();
    assert!(copied.unwrap().success());
    let run = || {
        let mut command = Command::new(place.at("some/bin/pagepress"));
        command.args(["vdev", "run", "sh", "-c", "echo $LD_PRELOAD"]);
        command
            .env("TMPDIR", place.at("tmp"))
            .env_remove("LD_PRELOAD");
        command.output().unwrap()
    };
    let error = stderr(&run());
    for at in ["bin", "bin/deps", "lib/pagepress"] {
        let at = place.text(&format!("some/{at}/libpagepress_preload.so"));
        assert!(error.contains(&at), "{error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    // The newest wins, and the nearest of those that are equally old.
    let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (at, seconds) in [
        ("bin", 1000),
        ("lib/pagepress", 1001),
        ("bin/deps", 1002),
        ("bin", 1002),
    ] {
        let at = format!("some/{at}");
        fs::create_dir_all(place.at(&at)).unwrap();
        let library = place.at(&at).join("libpagepress_preload.so");
        fs::copy(other_library(), &library).unwrap();
        let file = fs::File::options().write(true).open(&library).unwrap();
        file.set_modified(time(seconds)).unwrap();
        assert_eq!(stdout(&run()).trim(), library.to_str().unwrap());
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    let place = Place::new();
    fs::write(place.at("plain"), "#!/bin/sh\n").unwrap();
    let plain = place.text("plain");
    for (arguments, code, said) in [
        (&["true"][..], 0, None),
        (&["--", "sh", "-c", "exit 7"], 7, None),
        (
            &["--stats", "--", "sh", "-c", "exit 255"],
            255,
            Some("modelled"),
        ),
        (
            &["sh", "-c", "kill -KILL $$"],
            137,
            Some("sh: ended by signal 9 (SIGKILL)"),
        ),
        (&["sh", "-c", "kill -TERM $$"], 143, Some("(SIGTERM)")),
        (
            &["no-such-command"],
            127,
            Some("no-such-command: command not found"),
        ),
        (&["./no-such-command"], 127, Some("command not found")),
        (&["/"], 126, Some("/: Is a directory")),
        (&[&plain], 126, Some("Permission denied")),
    ] {
        let output = place.run(arguments);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        if let Some(said) = said {
            assert!(error.contains(said), "{arguments:?}: {error}");
        }
    }
}

/// Commands are looked for as shells do it.
#[test]
fn names_are_looked_for_in_the_path() {
    let place = Place::new();
    for directory in ["closed", "a", "b", "c", "c/x"] {
        fs::create_dir(place.at(directory)).unwrap();
    }
    for (name, code) in [("a/x", 4), ("b/x", 5)] {
        fs::write(place.at("text"), format!("#!/bin/sh\nexit {code}\n")).unwrap();
        place.copied(&place.at("text"), name);
    }
    place.allow("b/x", 0o755);
    place.allow("closed", 0);
    let code = |directories: &[&str]| {
        let directories = directories.iter().map(|name| place.at(name));
        let path = std::env::join_paths(directories).unwrap();
        let mut command = place.command(&["x"]);
        command.env("PATH", path).current_dir(place.at("b"));
        command.output().unwrap().status.code()
    };
    assert_eq!(code(&["closed", "a", "c", "b"]), Some(5));
    assert_eq!(code(&["closed", "a", "c"]), Some(126));
    assert_eq!(code(&["closed", "c", "missing"]), Some(127));
    let mut here = place.command(&["x"]);
    here.env("PATH", ":/usr/bin").current_dir(place.at("b"));
    assert_eq!(here.output().unwrap().status.code(), Some(5));
    place.allow("closed", 0o700);
}

/// COMMAND's arguments, input, output and environment are its own.
#[test]
fn the_command_is_run_as_it_stands() {
    let place = Place::new();
    let script = "cat; printf '%s\\n' \"$LD_PRELOAD\" \"$PAGEPRESS_VDEV\" \"$@\"";
    let mut command = place.command(&["sh", "-c", script, "sh", "--stats", "--", "-x"]);
    fs::write(place.at("input"), "in\n").unwrap();
    command.stdin(fs::File::open(place.at("input")).unwrap());
    let others = other_library();
    command.env("LD_PRELOAD", &others);
    let output = command.output().unwrap();
    let shown = stdout(&output);
    let lines: Vec<&str> = shown.lines().collect();
    let [input, preloaded, directory, rest @ ..] = &lines[..] else {
        panic!("{shown}");
    };
    assert_eq!(*input, "in");
    let library = preloaded.strip_suffix(&format!(":{others}")).unwrap();
    assert!(library.ends_with("/libpagepress_preload.so"), "{library}");
    assert!(Path::new(library).is_file());
    assert!(Path::new(directory).starts_with(place.at("tmp")));
    assert_eq!(rest, ["--stats", "--", "-x"]);
    assert!(!stderr(&output).contains("modelled"));
}

#[test]
fn programs_that_nothing_is_preloaded_into() {
    let place = Place::new();
    // That no process had the library is told after the end, whatever that was.
    let output = place.run(&["--library", &other_library(), "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(3));
    let error = stderr(&output);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("saw nothing virtual"), "{error}");

    if !is_root() {
        println!("skipped: only root can make a program that is set-uid for another user");
        return;
    }
    place.copied(Path::new("/bin/true"), "true");
    chown(place.at("true"), Some(NOBODY), Some(NOBODY)).unwrap();
    let program = place.text("true");
    for (mode, refused) in [(0o755, false), (0o4755, true), (0o2755, true)] {
        place.allow("true", mode);
        let output = place.run(&[&program]);
        let code = if refused { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{mode:o}");
        assert_eq!(stderr(&output).contains("set-uid or set-gid"), refused);
    }
}

/// The same command with no signal ignored, as some are in the background and below
/// nohup.
fn with_signals(command: &Command) -> Command {
    let mut reset = Command::new("env");
    reset.arg("--default-signal=HUP,INT,QUIT,TERM");
    reset.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => reset.env(name, value),
            None => reset.env_remove(name),
        };
    }
    reset
}

/// A command under way that has said that it is ready.
struct Underway {
    child: Child,
}

impl Underway {
    fn new(command: &Command) -> Self {
        let mut command = with_signals(command);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { child }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its exit code and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut error = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut error).unwrap();
        (code, error)
    }
}

/// Ends with a code that tells the signal that it was told by, or in the end without
/// one.
const TRAPS: &str = "trap 'exit 55' TERM; trap 'exit 41' HUP; trap 'exit 42' INT; \
                     trap 'exit 43' QUIT; echo ready; \
                     for i in $(seq 600); do sleep 0.05; done; exit 44";

#[test]
fn signals_reach_the_command_and_the_directory_goes() {
    let place = Place::new();
    // A terminal's own are left to the terminal, which sends them to both.
    for (first, code) in [(Signal::TERM, 55), (Signal::HUP, 41)] {
        let underway = Underway::new(&place.command(&["sh", "-c", TRAPS]));
        for ignored in [Signal::INT, Signal::QUIT] {
            kill_process(underway.pid(), ignored).unwrap();
        }
        kill_process(underway.pid(), first).unwrap();
        assert_eq!(underway.end().0, Some(code));
        place.is_clean();
    }
    for (signal, code) in [(Signal::INT, 42), (Signal::QUIT, 43)] {
        let underway = Underway::new(&place.command(&["sh", "-c", TRAPS]));
        kill_process_group(underway.pid(), signal).unwrap();
        assert_eq!(underway.end().0, Some(code));
        place.is_clean();
    }
    // Without a trap it ends the command, and that is said.
    let script = "echo ready; exec sleep 60";
    let underway = Underway::new(&place.command(&["sh", "-c", script]));
    kill_process_group(underway.pid(), Signal::INT).unwrap();
    let (code, error) = underway.end();
    assert_eq!(code, Some(130));
    assert!(error.contains("ended by signal 2 (SIGINT)"), "{error}");
    place.is_clean();
}

/// As below nohup: what is ignored stays ignored, and nothing else is.
#[test]
fn ignored_signals_stay_ignored_in_the_command() {
    let place = Place::new();
    let ignored = |trap: &str| {
        let run = place.command(&["grep", "SigIgn", "/proc/self/status"]);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{trap} exec \"$0\" \"$@\""));
        shell.arg(run.get_program()).args(run.get_args());
        shell
            .env("TMPDIR", place.at("tmp"))
            .env_remove("LD_PRELOAD");
        let mut shell = with_signals(&shell);
        let shown = stdout(&shell.output().unwrap());
        let mask = shown.split_whitespace().nth(1).unwrap();
        u64::from_str_radix(mask, 16).unwrap()
    };
    let (hup, int) = (1 << 0, 1 << 1);
    let (term, chld) = (1 << 14, 1 << 16);
    let all = hup | int | term | chld;
    assert_eq!(ignored("trap '' HUP INT;") & all, hup | int);
    assert_eq!(ignored("") & all, 0);
}

#[test]
fn options_become_the_configuration() {
    let place = Place::new();
    fs::write(place.at("trace"), "old").unwrap();
    let trace = place.text("trace");
    let config = place.laid(&["--fault", "never@#9", "--no-mmap", "--trace", &trace]);
    assert_eq!(config["generation"], "gen1");
    assert_eq!(config["faults"], "never@#9");
    assert_eq!(config["device_thread"], true);
    assert_eq!(config["mmap"], false);
    assert_eq!(config["dedicated"], false);
    assert_eq!(
        (&config["size"], &config["threshold"]),
        (&128.into(), &128.into())
    );
    assert_eq!(config["trace"], *trace);
    assert_eq!(fs::read_to_string(&trace).unwrap(), "");

    let place = Place::new();
    let options = [
        "--profile=gen2",
        "--devices=3",
        "--wq=dedicated",
        "--size=16",
        "--trace=t",
    ];
    let script = format!("cp -a \"$PAGEPRESS_VDEV\" {}", place.text("laid"));
    let mut command = place.command(&[&options[..], &["--", "sh", "-c", &script]].concat());
    // A path that is not absolute is meant from here.
    command.current_dir(place.dir.path());
    assert!(command.status().unwrap().success());
    let config = fs::read(place.at("laid/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["generation"], "gen2");
    assert_eq!(config["dedicated"], true);
    assert_eq!(
        (&config["size"], &config["mmap"]),
        (&16.into(), &true.into())
    );
    assert_eq!(config["device_thread"], false);
    assert_eq!(config["trace"], *place.text("t"));
    assert!(place.at("t").is_file());
    let nodes = config["nodes"].as_array().unwrap();
    let paths: Vec<_> = nodes
        .iter()
        .map(|node| node["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["/dev/iax/wq1.0", "/dev/iax/wq3.0", "/dev/iax/wq5.0"]
    );
}

#[test]
fn statistics_are_for_people_or_programs() {
    let place = Place::new();
    let output = place.run(&["--stats", "true"]);
    assert!(stderr(&output).contains("on modelled devices, not on hardware:\n"));
    let output = place.run(&["--stats=json", "true"]);
    let error = stderr(&output);
    let json: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
    assert_eq!(json["modelled"], true);
    assert_eq!(json["counts"]["accepted"], 0);
    assert_eq!(stdout(&output), "");
}

/// What is served put over the host's own files by mounts that nobody else sees,
/// and nodes that say what they should, for programs that nothing is preloaded into.
const MOUNTED: &str = r#"
set -eu
laid=$1
shift
real=$laid/real
mkdir -p "$real/sys" "$real/dev"
mount --rbind /sys "$real/sys"
mount --rbind /dev "$real/dev"
mount -t tmpfs none /sys
mount -t tmpfs none /dev
lay() {
    for name in $(ls -A "$laid/root/$1"); do
        path=$1/$name
        if ! grep -qxF "/$path" "$laid/served" && [ -d "$real/$path" ]; then
            mkdir -p "/$path"
            lay "$path"
        else
            cp -a "$laid/root/$path" "/$path"
        fi
    done
    for name in $(ls -A "$real/$1"); do
        [ -e "/$1/$name" ] || [ -L "/$1/$name" ] || ln -s "$real/$1/$name" "/$1/$name"
    done
}
lay sys
lay dev
for node in /dev/iax/*; do
    name=${node##*/}
    numbers=$(cat "/sys/bus/dsa/devices/iax!$name/dev")
    rm "$node"
    mknod -m 0660 "$node" c "${numbers%:*}" "${numbers#*:}"
done
for file in cpuinfo cmdline modules; do
    [ ! -e "/proc/$file" ] || mount --bind "$laid/root/proc/$file" "/proc/$file"
done
exec "$@"
"#;

/// Why that cannot be done here.
fn why_not_mounted() -> Option<&'static str> {
    if !is_root() {
        return Some("only root mounts");
    }
    let script = "mount -t tmpfs none /mnt && mknod /mnt/x c 235 0";
    let tried = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .output();
    let works = tried.is_ok_and(|output| output.status.success());
    (!works).then_some("this root may not mount, or make device nodes")
}

impl Place {
    /// Runs a command with the files of `laid` in their places.
    fn mounted(&self, config: &Value, command: &[&str]) -> Output {
        let served = config["served"].as_array().unwrap();
        let served: Vec<&str> = served.iter().map(|path| path.as_str().unwrap()).collect();
        fs::write(self.at("laid/served"), served.join("\n")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "sh", "-c", MOUNTED, "sh", &self.text("laid")]);
        unshare.args(command).output().unwrap()
    }
}

/// Every link up to the probe is whole, of both generations.
#[test]
fn the_doctor_finds_nothing_to_mend() {
    if let Some(why) = why_not_mounted() {
        println!("skipped: {why}");
        return;
    }
    let ours = env!("CARGO_BIN_EXE_pagepress");
    for (options, mode) in [
        (&["--profile=gen1", "--threshold=100"][..], "ok"),
        (
            &["--profile=gen2", "--devices=16", "--wq=dedicated"],
            "degraded",
        ),
    ] {
        let place = Place::new();
        let config = place.laid(options);
        let output = place.mounted(&config, &[ours, "doctor", "--format", "json"]);
        let diagnosis = json(&output);
        let links = diagnosis["links"].as_array().unwrap();
        for link in &links[..13] {
            let expected = if link["name"] == "wq-mode" {
                mode
            } else {
                "ok"
            };
            assert_eq!(link["status"], expected, "{link}");
        }
        assert_eq!(diagnosis["usable"], true);
        let output = place.mounted(&config, &[ours, "devices", "--format", "json"]);
        let seen = json(&output);
        let devices = seen["host"]["devices"].as_array().unwrap();
        assert_eq!(config["devices"], devices.len());
        let pci = seen["host"]["pci"].as_array().unwrap();
        assert_eq!(pci.len(), devices.len());
        for (device, pci) in devices.iter().zip(pci) {
            assert_eq!(device["pci"], pci["address"]);
            assert_eq!(pci["driver"], "idxd");
        }
        let queues = seen["queues"].as_array().unwrap();
        let usable = queues.iter().filter(|queue| queue["usable"] == true);
        assert_eq!(usable.count(), devices.len());
    }
}

/// Intel's own tool reads the tree as it reads the driver's.
#[test]
fn accel_config_lists_the_devices() {
    if let Some(why) = why_not_mounted() {
        println!("skipped: {why}");
        return;
    }
    if Command::new("accel-config")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: accel-config is not installed");
        return;
    }
    for (options, version, mode, sizes) in [
        (
            &["--profile=gen1", "--size=64", "--threshold=48"][..],
            "0x100",
            "shared",
            (64, 48),
        ),
        (
            &["--profile=gen2", "--devices=3", "--wq=dedicated"],
            "0x200",
            "dedicated",
            (128, 0),
        ),
    ] {
        let place = Place::new();
        let config = place.laid(options);
        let output = place.mounted(&config, &["accel-config", "list"]);
        assert_eq!(stderr(&output), "");
        let list = json(&output);
        let devices = list.as_array().unwrap();
        assert_eq!(config["devices"], devices.len());
        for (number, device) in devices.iter().enumerate() {
            let id = 2 * number + 1;
            for (attribute, value) in [
                ("dev", format!("iax{id}").into()),
                ("state", "enabled".into()),
                ("version", version.into()),
                ("gen_cap", "0x71f10901f0105".into()),
                ("max_groups", 4.into()),
                ("max_engines", 8.into()),
                ("max_work_queues", 8.into()),
                ("work_queue_size", 128.into()),
                ("max_transfer_size", (1_u64 << 31).into()),
                ("pasid_enabled", Value::from(1)),
                ("configurable", 1.into()),
                ("cdev_major", 235.into()),
            ] {
                assert_eq!(device[attribute], value, "{attribute} in {device:#}");
            }
            let group = &device["groups"][0];
            assert_eq!(group["grouped_engines"].as_array().unwrap().len(), 8);
            let queues = group["grouped_workqueues"].as_array().unwrap();
            assert_eq!(queues.len(), 1);
            for (attribute, value) in [
                ("dev", format!("wq{id}.0").into()),
                ("mode", mode.into()),
                ("size", sizes.0.into()),
                ("threshold", Value::from(sizes.1)),
                ("group_id", 0.into()),
                ("priority", 10.into()),
                ("block_on_fault", 1.into()),
                ("max_transfer_size", (1_u64 << 31).into()),
                ("cdev_minor", number.into()),
                ("type", "user".into()),
                ("name", "vdev".into()),
                ("driver_name", "user".into()),
                ("state", "enabled".into()),
                ("clients", 0.into()),
            ] {
                assert_eq!(queues[0][attribute], value, "{attribute} in {device:#}");
            }
        }
    }
}
