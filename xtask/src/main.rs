//! Chores of the repository. `cargo xtask tidy` checks what the compiler cannot: that the documents tell the truth
//! about the code. Exit code 0 when all is well, 1 with a list of findings, 2 for wrong use.

use std::process::ExitCode;

mod tidy;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => report(tidy::run()),
        _ => {
            eprintln!("usage: cargo xtask tidy");
            ExitCode::from(2)
        }
    }
}

fn report(findings: Result<Vec<tidy::Finding>, tidy::Error>) -> ExitCode {
    match findings {
        Ok(findings) if findings.is_empty() => {
            eprintln!("tidy: the documents tell the truth about the code");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            eprintln!("tidy: {} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy failed: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(why) = cause {
                eprintln!("  because: {why}");
                cause = why.source();
            }
            ExitCode::from(2)
        }
    }
}
