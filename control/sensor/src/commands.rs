//! From a parsed command line to what does the work, and from its errors to exit statuses.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::cli::{
    BenchArgs, CheckArgs, Cli, Command, CrdArgs, DEFAULT_FILE, DoctorArgs, ExplainArgs,
    KeywordsArgs, ReplayArgs, RulesCommand, RunArgs, SelectorArgs, TopArgs,
};
use crate::config::{Config, KubernetesConfig};
use crate::ports::sysfs::Sysfs;
use crate::rules_check::Check;
use crate::rules_explain::{self, ExplainError};
use crate::selector_command::{self, SelectorFailure};
use crate::{exit, log};

/// Does what a command line says. Errors go to standard error.
pub fn dispatch(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Rules(RulesCommand::Check(args)) => check(&args),
        Command::Rules(RulesCommand::Explain(args)) => explain(&args),
        Command::Rules(RulesCommand::Keywords(args)) => keywords(args),
        Command::Selector(args) => selector(&args),
        Command::Config => config(),
        Command::Crd(args) => crd(&args),
        Command::Run(args) => run(&args),
        Command::Replay(args) => replay(&args),
        Command::Bench(args) => bench(&args),
        Command::Doctor(args) => doctor(&args),
        Command::Top(args) => top(&args),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        // Whoever reads the output has gone, as `head` does: not worth a word.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pollux: {error:#}");
            ExitCode::from(exit::status(&error))
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_pipe))
}

fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    crate::run::run(&loaded.config)?;
    Ok(0)
}

fn replay(args: &ReplayArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    crate::replay::run(args, loaded.config)?;
    Ok(0)
}

fn bench(args: &BenchArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    crate::bench::run(args, loaded.config)?;
    Ok(0)
}

fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let default = std::path::PathBuf::from(DEFAULT_FILE);
    let loaded = Config::load(&args.config.sources(default.exists().then_some(default)))?;
    log::begin(&loaded, &args.config);
    let diagnosis = if args.live {
        let socket = crate::cli::socket(&loaded.config, args.socket.as_deref())?;
        crate::doctor::examine_live(&crate::top::Client::connect(&socket)?.sample()?)
    } else {
        crate::doctor::examine(&loaded.config, &Sysfs::default())
    };
    let out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        diagnosis.write_json(out)?
    } else {
        diagnosis.write_text(out)?
    }
    Ok(if diagnosis.ready { 0 } else { exit::FAILURE })
}

fn top(args: &TopArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    let socket = crate::cli::socket(&loaded.config, args.socket.as_deref())?;
    if args.json {
        crate::top::print(&socket)?;
    } else {
        crate::top::run(&socket)?;
    }
    Ok(0)
}

fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    let check = Check::of(&loaded.config)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        check.write_json(args.groups, out)?
    } else {
        check.write_text(&mut out)?;
        if args.groups {
            crate::rules_groups::write_table(&check.groups, &mut out)?;
        }
        out.flush()?;
    }
    Ok(if check.passed() { 0 } else { exit::FAILURE })
}

fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let loaded = args.load()?;
    log::begin(&loaded, &args.config);
    let explanations = match rules_explain::find(&loaded.config, &args.rule) {
        Ok(explanations) => explanations,
        Err(ExplainError::Rules(error)) => return Err(error.into()),
        Err(error) => {
            eprintln!("pollux: {error}");
            return Ok(exit::FAILURE);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for explanation in &explanations {
        rules_explain::write(explanation, &mut out)?;
    }
    Ok(0)
}

fn keywords(args: KeywordsArgs) -> anyhow::Result<u8> {
    let out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        crate::rules_keywords::write_json(out)?;
    } else {
        crate::rules_keywords::write_text(out)?;
    }
    Ok(0)
}

fn selector(args: &SelectorArgs) -> anyhow::Result<u8> {
    let result = match &args.expression {
        None => selector_command::filter(io::stdin().lock(), io::stdout().lock())
            .map_err(SelectorFailure::Io),
        Some(expression) => {
            selector_command::explain(expression, args.labels.as_deref(), io::stdout().lock())
        }
    };
    match result {
        Ok(()) => Ok(0),
        Err(SelectorFailure::Io(error)) => Err(error.into()),
        Err(error) => Err(exit::UsageError(error.to_string()).into()),
    }
}

fn config() -> anyhow::Result<u8> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    crate::config::write_reference(&mut out)?;
    out.flush()?;
    Ok(0)
}

fn crd(args: &CrdArgs) -> anyhow::Result<u8> {
    let text = if args.check {
        crate::crd_command::checked(&KubernetesConfig {
            kubeconfig: args.kubeconfig.clone(),
            context: args.context.clone(),
            ..KubernetesConfig::default()
        })?
    } else {
        api::dpi::crd_yaml()
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(0)
}
