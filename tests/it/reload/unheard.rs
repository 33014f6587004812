//! A server whose log nobody reads any more: the pipe on its standard error is broken.

use super::{PATIENCE, PERMIT, Pair, QUICK, hide, hiding, status_where};
use crate::support::Process;

#[test]
fn a_log_that_nobody_reads_ends_no_loader() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let process = Process::try_start_with(&sources, &QUICK).unwrap();
    process.stop_listening();
    // The first is still read, which ends the reader; what is said of the others meets a pipe that is broken.
    for number in 1..=3 {
        sources.put("policies/base.cedar", format!("permit (number{number}"));
        status_where(&process, PATIENCE, |status| status["reloads"]["rejected"] == number);
    }
    sources.put("policies/base.cedar", PERMIT.to_owned() + &hide("notes"));
    status_where(&process, PATIENCE, |status| status["generation"] == pair.notes_hidden);
    process.terminate().check_code(0);
}
