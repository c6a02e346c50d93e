//! What the operating system says of the machine, in the fields of Vault's `sys/host-info`. What it does not say is left out.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub fn info(data: &Path) -> Value {
    json!({ "cpu": cpus(), "host": host(), "memory": memory(), "disk": disk(data) })
}

fn host() -> Value {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let uptime = read("/proc/uptime").split('.').next().and_then(|seconds| seconds.parse::<u64>().ok());
    json!({
        "hostname": text(uname.nodename()),
        "os": std::env::consts::OS,
        "platform": text(uname.sysname()),
        "kernelVersion": text(uname.release()),
        "kernelArch": text(uname.machine()),
        "uptime": uptime,
        "bootTime": number_after(&read("/proc/stat"), "btime"),
        "procs": fs::read_dir("/proc").map_or(0, |entries| entries.flatten().filter(is_number).count()),
    })
}

fn is_number(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
}

fn cpus() -> Vec<Value> {
    let text = read("/proc/cpuinfo");
    let value = |block: &str, name: &str| {
        let line = block.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("processor"));
    blocks
        .map(|block| {
            json!({
                "cpu": value(block, "processor").and_then(|number| number.parse::<u64>().ok()),
                "vendorId": value(block, "vendor_id"),
                "modelName": value(block, "model name"),
                "mhz": value(block, "cpu MHz").and_then(|mhz| mhz.parse::<f64>().ok()),
                "cores": value(block, "cpu cores").and_then(|cores| cores.parse::<u64>().ok()),
            })
        })
        .collect()
}

fn memory() -> Value {
    let text = read("/proc/meminfo");
    let bytes = |name| number_after(&text, name).map(|kilobytes| kilobytes * 1024);
    let (total, available) = (bytes("MemTotal:"), bytes("MemAvailable:"));
    let used = total.zip(available).map(|(total, available)| total.saturating_sub(available));
    json!({
        "total": total,
        "available": available,
        "free": bytes("MemFree:"),
        "used": used,
        "usedPercent": used.zip(total).filter(|(_, total)| *total > 0).map(|(used, total)| used as f64 * 100.0 / total as f64),
    })
}

/// Of the file system that the data directory lies on.
fn disk(data: &Path) -> Vec<Value> {
    let Ok(found) = rustix::fs::statvfs(data) else { return Vec::new() };
    let (total, free) = (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize);
    let used = total.saturating_sub(found.f_bfree * found.f_frsize);
    vec![json!({
        "path": data,
        "total": total,
        "free": free,
        "used": used,
        "usedPercent": if total > 0 { used as f64 * 100.0 / total as f64 } else { 0.0 },
    })]
}

/// Bytes of memory that this process holds.
pub fn resident_bytes() -> Option<u64> {
    number_after(&read("/proc/self/status"), "VmRSS:").map(|kilobytes| kilobytes * 1024)
}

pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
