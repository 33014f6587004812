//! `docs/reference/cli.md`: every command and flag.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::{Cli, EXIT_CODES};
use crate::reference;

#[test]
fn the_reference_of_the_command_line_is_current() {
    let mut root = Cli::command();
    root.build();
    let mut page = reference::title("The command line");
    page.push_str(&format!("{EXIT_CODES}. A wrong usage is a failure.\n\nFlags of every command:\n\n"));
    arguments(root.get_arguments().filter(|argument| !is_plain(argument)), &mut page);
    page.push_str("| `-h`, `--help` | | | Print help |\n| `-V`, `--version` | | | Print the version |\n");
    for command in root.get_subcommands_mut() {
        section(command, "mandate", &mut page);
    }
    reference::hold("cli.md", &page);
}

/// A command and those below it.
fn section(command: &mut Command, above: &str, page: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    page.push_str(&format!("\n## {name}\n\n{}\n", about.unwrap_or_default().trim_end()));
    if command.has_subcommands() {
        command.get_subcommands_mut().for_each(|inner| section(inner, &name, page));
        return;
    }
    let usage = command.render_usage().to_string();
    page.push_str(&format!("\n```\n{}\n```\n", usage.trim().trim_start_matches("Usage: ")));
    let mut own = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set() && !is_plain(argument))
        .peekable();
    if own.peek().is_some() {
        page.push('\n');
        arguments(own, page);
    }
}

/// Help and version.
fn is_plain(argument: &Arg) -> bool {
    matches!(
        argument.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    ) || argument.is_hide_set()
}

fn arguments<'a>(shown: impl Iterator<Item = &'a Arg>, page: &mut String) {
    page.push_str("| argument | value | default | what |\n|---|---|---|---|\n");
    for argument in shown {
        let takes = argument.get_action().takes_values();
        let value = if takes { value(argument) } else { String::new() };
        let help =
            argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let (help, told) = match help.split_once(" [default: ") {
            Some((help, rest)) => (help.to_owned(), rest.split(']').next().unwrap().to_owned()),
            None => (help, String::new()),
        };
        let known = argument
            .get_default_values()
            .iter()
            .filter(|_| takes)
            .map(|default| default.to_string_lossy().into_owned());
        let defaults: Vec<_> =
            known.chain((!told.is_empty()).then_some(told)).map(|default| format!("`{default}`")).collect();
        let environment =
            argument.get_env().map(|name| format!(" Or `{}` in the environment.", name.to_string_lossy()));
        let row = [name(argument), value, defaults.join(", "), help + &environment.unwrap_or_default()];
        page.push_str(&format!("| {} |\n", row.map(|text| reference::cell(&text)).join(" | ")));
    }
}

fn name(argument: &Arg) -> String {
    let names = [
        argument.get_short().map(|short| format!("`-{short}`")),
        argument.get_long().map(|long| format!("`--{long}`")),
    ];
    let names: Vec<_> = names.into_iter().flatten().collect();
    if names.is_empty() { "(positional)".to_owned() } else { names.join(", ") }
}

fn value(argument: &Arg) -> String {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        return possible
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect::<Vec<_>>()
            .join(" · ");
    }
    let names = argument.get_value_names().unwrap_or_default();
    let many = matches!(argument.get_action(), ArgAction::Append);
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" ") + if many { ", repeatable" } else { "" }
}
