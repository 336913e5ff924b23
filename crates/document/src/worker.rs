//! The child's side of the sandbox: limits on itself first, then one document from stdin to stdout.

use crate::wire::{Answer, MAX_LINE, Request};
use crate::{FaxDocument, RenderError, render};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

/// Stack of the thread that converts: nested forms of a PDF are followed by recursion.
const STACK: usize = 64 << 20;

/// What `ferrofax convert-worker` does: reads one request from stdin, puts limits on its own process,
/// converts the document, writes the answer to stdout.
///
/// Call it before any thread or runtime is started and before any file is opened. The process then can
/// open no file and no socket, start no program, write no file, leave no core, and ends when
/// its memory or processor time is used up.
#[must_use]
pub fn worker_main() -> ExitCode {
    match converse() {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("convert-worker: {what}");
            ExitCode::FAILURE
        }
    }
}

fn converse() -> Result<(), String> {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
    let request: Request = serde_json::from_slice(&line).map_err(|e| format!("not a request: {e}"))?;
    let options = request.options().ok_or("not a request: unknown geometry")?;
    confine(&request).map_err(|e| format!("limits cannot be set: {e}"))?;

    let mut octets = Vec::new();
    input.take(options.max_octets.saturating_add(1)).read_to_end(&mut octets).map_err(|e| e.to_string())?;
    let result = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            limit(Resource::Nproc, 0).ok();
            render(&octets, request.format, &options)
        })
        .map_err(|e| e.to_string())?
        .join()
        .map_err(|_| "panicked".to_owned())?;
    answer(&result).map_err(|e| e.to_string())
}

fn answer(result: &Result<FaxDocument, RenderError>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(&Answer::of(result))?;
    for page in result.iter().flat_map(|d| &d.pages) {
        out.write_all(&page.t6)?;
        if let Some((_, jpeg)) = page.in_tones() {
            out.write_all(jpeg)?;
        }
    }
    out.flush()
}

/// Three descriptors are open, so a limit of three means that no other can ever be opened: neither
/// file nor socket.
fn confine(request: &Request) -> rustix::io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, 3)?;
    limit(Resource::As, request.memory_limit)?;
    limit(Resource::Cpu, request.time_limit_ms.div_ceil(1000).saturating_add(1))
}

/// Sets both limits, never above what is already demanded.
fn limit(resource: Resource, value: u64) -> rustix::io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| value.min(most));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
}
