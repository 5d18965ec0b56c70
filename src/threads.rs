//! Threads for the front door alone. Half of the cores read and answer stations; the journal's thread, the two that
//! follow it, and pages have the rest. Fewer threads wake each other less: on two cores one thread for the door takes
//! about a tenth less CPU for each message than two that share them, and a page that is drawn for 5 ms delays no PUBACK.

use tokio::runtime::{Builder, EnterGuard, Runtime};

use crate::assembly::Fatal;

/// A runtime that may be dropped anywhere, also where another one runs.
pub struct DoorThreads(Option<Runtime>);

impl DoorThreads {
    /// Starts them: half as many as there are cores, at least one.
    ///
    /// # Errors
    /// [`Fatal::Ended`] where the system gives no thread.
    pub fn start() -> Result<Self, Fatal> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads((cores / 2).max(1)).thread_name("door").enable_all();
        match threads.build() {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => {
                tracing::error!(%error, "no threads for the front door");
                Err(Fatal::Ended("door"))
            }
        }
    }

    /// Sockets that are opened while this is held belong to these threads.
    pub fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }

    /// Runs a part on these threads to its end. Blocking.
    pub fn block_on(&self, work: impl Future<Output = ()>) {
        if let Some(runtime) = &self.0 {
            runtime.block_on(work);
        }
    }
}

impl Drop for DoorThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How much less of a busy core a thread that gives way gets: at nice 5 a third of what the door gets (the kernel's
/// weights are 335 and 1,024), so that it falls behind under load and never stands still.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lets the calling thread wait behind stations and decisions when the cores are busy. History and its files may come a
/// second later; a PUBACK and a warning may not. Measured with two busy cores in `docs/promises.md` §6.
#[cfg(target_os = "linux")]
pub fn give_way() {
    // On Linux this is the thread's, not the process's (setpriority(2), "C library/kernel differences").
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "history has the same priority as the front door");
    }
}

/// Threads of one process have one priority here.
#[cfg(not(target_os = "linux"))]
pub fn give_way() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    /// The 19th field of proc(5)'s `stat`: this thread's nice value.
    fn nice() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, behind_name) = stat.rsplit_once(')').unwrap();
        behind_name.split_whitespace().nth(16).unwrap().to_owned()
    }

    #[test]
    fn one_thread_gives_way_and_the_others_do_not() {
        let before = nice();
        let its = std::thread::spawn(|| {
            super::give_way();
            nice()
        });
        assert_eq!(its.join().unwrap(), super::NICE.to_string());
        assert_eq!(nice(), before);
        assert_ne!(before, super::NICE.to_string());
    }
}
