//! Crashes: the process killed, and the power cut. What was acknowledged must be there afterwards.
//!
//! A killed process leaves the kernel's page cache; only a power cut shows what was not synced. It is simulated with a
//! file system in a file: the writer works on it mounted; the cut is a copy of the file while the writer is stopped,
//! since what has not been synced to the "device" is not in the file. The copy is then mounted as after a restart.

use crate::writer::{self, Honesty, Plan, Writer};
use rustix::process::{Signal, kill_process};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use twinkeep::storage::{self, Engine};

/// Enough for fjall's journals of 64 MiB, of which the file holds only what was written.
const DISK_BYTES: u64 = 512 << 20;

fn plan(engine: Engine, value_bytes: usize) -> Plan {
    Plan { engine, value_bytes, honesty: Honesty::Flush }
}

/// How many acknowledgements to wait for in a round: varied, so that crashes fall into different moments, and fewer of
/// large values.
fn patience(round: usize, value_bytes: usize) -> usize {
    let patience = [13, 1, 40, 17, 70, 5][round % 6];
    if value_bytes < 10_000 { patience } else { patience.div_ceil(5) }
}

fn survives_kills(engine: Engine) {
    for value_bytes in [300, 20_000] {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..6 {
            let mut writer = Writer::start(plan(engine, value_bytes), directory.path());
            writer.wait_for(patience(round, value_bytes));
            let acknowledged = writer.kill();
            let store = storage::open(directory.path(), engine).unwrap();
            let last = writer::check(store.as_ref(), value_bytes);
            assert!(last >= acknowledged, "batch {acknowledged} was acknowledged, {last} is the last found");
        }
    }
}

#[test]
fn fjall_keeps_what_it_acknowledged_before_a_kill() {
    survives_kills(Engine::Fjall);
}

#[test]
fn sled_keeps_what_it_acknowledged_before_a_kill() {
    survives_kills(Engine::Sled);
}

/// A mounted file system in a file.
struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// Makes and mounts an empty one; `None`, said on stderr, where this machine does not permit it.
    fn new(room: &Path) -> Option<Disk> {
        let image = room.join("disk-0");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        // The journal is small so that the copies are.
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F", "-J", "size=4"]).arg(&image));
        match made.and_then(|()| Disk::mount(image)) {
            Ok(disk) => Some(disk),
            Err(why) => {
                let said = format!("\nSKIPPED: no simulated power cut on this machine: {}\n\n", why.trim());
                std::io::stderr().write_all(said.as_bytes()).unwrap();
                None
            }
        }
    }

    fn mount(image: PathBuf) -> Result<Disk, String> {
        let mounted = image.with_extension("mounted");
        fs::create_dir(&mounted).unwrap();
        // The file system must not commit by itself what nobody synced.
        run(Command::new("mount").args(["-o", "loop,commit=300"]).arg(&image).arg(&mounted))?;
        Ok(Disk { image, mounted })
    }

    /// What a power cut at this moment leaves, mounted.
    fn cut(&self, round: usize) -> Disk {
        let copy = self.image.with_file_name(format!("disk-{}", round + 1));
        run(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(&copy)).unwrap();
        Disk::mount(copy).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a killed process may take a moment to let go.
        let unmounted = run(Command::new("umount").arg("--lazy").arg(&self.mounted));
        if let Err(why) = unmounted {
            std::io::stderr().write_all(why.as_bytes()).unwrap();
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Lets a writer work on a disk until power cuts, each on what the one before left. Calls `check` after each with the
/// batch that was acknowledged and the one that was found.
fn cut_power(plan: Plan, rounds: usize, check: impl Fn(u64, u64)) {
    let room = tempfile::tempdir().unwrap();
    let Some(mut disk) = Disk::new(room.path()) else { return };
    for round in 0..rounds {
        let directory = disk.mounted.join("data");
        let mut writer = Writer::start(plan, &directory);
        writer.wait_for(patience(round, plan.value_bytes));
        kill_process(writer.id(), Signal::STOP).unwrap();
        let cut = disk.cut(round);
        let acknowledged = writer.kill();
        disk = cut;
        let store = storage::open(&disk.mounted.join("data"), plan.engine).unwrap();
        check(acknowledged, writer::check(store.as_ref(), plan.value_bytes));
    }
}

fn survives_power_cuts(engine: Engine) {
    for value_bytes in [300, 20_000, 200_000] {
        cut_power(plan(engine, value_bytes), 4, |acknowledged, last| {
            assert!(
                last >= acknowledged,
                "values of {value_bytes} bytes: batch {acknowledged} was acknowledged, {last} is the last found"
            );
        });
    }
}

#[test]
fn fjall_keeps_what_it_acknowledged_before_a_power_cut() {
    survives_power_cuts(Engine::Fjall);
}

#[test]
fn sled_keeps_what_it_acknowledged_before_a_power_cut() {
    survives_power_cuts(Engine::Sled);
}

#[test]
fn a_power_cut_takes_what_was_not_flushed() {
    let lie = Plan { honesty: Honesty::Lie, ..plan(Engine::Fjall, 300) };
    cut_power(lie, 1, |acknowledged, last| {
        assert!(last < acknowledged, "nothing was lost: the simulated cut does not cut");
    });
}
