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
