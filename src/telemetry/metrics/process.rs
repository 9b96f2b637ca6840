//! The process itself, as far as the system tells; nothing where that is not Linux.

use super::page::{Family, Kind, Page};
use crate::telemetry::panics;

const BUILD: Family = Family {
    name: "sgw_build_info",
    kind: Kind::Gauge,
    help: "Always 1; the version of this gateway is in its label.",
};

const PANICS: Family = Family {
    name: "sgw_panics_total",
    kind: Kind::Counter,
    help: "Panics, which are bugs: the request is answered 500, a background task begins anew; the log has the place.",
};

pub(super) fn write(page: &mut Page) {
    page.sample(&BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.sample(&PANICS, &[], panics::count());
    #[cfg(target_os = "linux")]
    match linux::Process::read() {
        Ok(process) => process.write(page),
        Err(error) => tracing::debug!(%error, "the system tells nothing about this process"),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::Process as Proc;
    use procfs::{ProcResult, WithCurrentSystemInfo};

    use super::super::page::{Family, Kind, Page, to_f64};

    const CPU: Family = Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        help: "User and system time of the process.",
    };
    const RESIDENT: Family = Family {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        help: "Memory of the process that is in use.",
    };
    const VIRTUAL: Family = Family {
        name: "process_virtual_memory_bytes",
        kind: Kind::Gauge,
        help: "Address space of the process.",
    };
    const START: Family = Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the process started, in seconds after 1970.",
    };
    const FILES: Family = Family {
        name: "process_open_fds",
        kind: Kind::Gauge,
        help: "File descriptors that are open.",
    };
    const THREADS: Family = Family {
        name: "process_threads",
        kind: Kind::Gauge,
        help: "Threads of the process.",
    };

    /// What the system tells, in seconds and bytes.
    pub(super) struct Process {
        cpu: f64,
        start: f64,
        resident: u64,
        virtual_size: u64,
        files: usize,
        threads: i64,
    }

    impl Process {
        pub(super) fn read() -> ProcResult<Self> {
            let process = Proc::myself()?;
            let stat = process.stat()?;
            let seconds = |ticks| to_f64(ticks) / to_f64(procfs::ticks_per_second());
            Ok(Self {
                cpu: seconds(stat.utime + stat.stime),
                start: to_f64(procfs::boot_time_secs()?) + seconds(stat.starttime),
                resident: stat.rss_bytes().get(),
                virtual_size: stat.vsize,
                files: process.fd_count()?,
                threads: stat.num_threads,
            })
        }

        pub(super) fn write(&self, page: &mut Page) {
            page.sample(&CPU, &[], self.cpu);
            page.sample(&RESIDENT, &[], self.resident);
            page.sample(&VIRTUAL, &[], self.virtual_size);
            page.sample(&START, &[], self.start);
            page.sample(&FILES, &[], self.files);
            page.sample(&THREADS, &[], self.threads);
        }
    }
}
