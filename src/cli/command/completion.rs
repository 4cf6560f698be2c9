//! `completion`: a script that completes commands and flags, made from the same tree that parses them.

use std::fmt::Write as _;

use clap::{Args, Command, CommandFactory, ValueEnum};

use super::Context;
use crate::cli::args::Cli;
use crate::cli::exit::{Exit, Failure};

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(openclaw completion --shell bash)
  openclaw completion --shell zsh > ~/.zfunc/_openclaw
  openclaw completion --shell fish > ~/.config/fish/completions/openclaw.fish")]
pub struct CompletionArgs {
    /// Shell
    #[arg(short, long, value_enum, default_value_t = Shell::Zsh)]
    pub shell: Shell,
}

/// Shells with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// zsh
    Zsh,
    /// bash
    Bash,
    /// PowerShell
    Powershell,
    /// fish
    Fish,
}

/// Words that may follow one command path.
struct Node {
    /// `gateway status`; empty for the root.
    path: String,
    /// Subcommands, then long flags.
    words: Vec<String>,
}

/// Prints the script.
pub fn run(args: &CompletionArgs, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut nodes = Vec::new();
    collect(&root, String::new(), &mut nodes);
    let script = match args.shell {
        Shell::Bash => bash(&nodes),
        Shell::Zsh => zsh(&nodes),
        Shell::Fish => fish(&nodes),
        Shell::Powershell => powershell(&nodes),
    };
    context.printer.raw(&script);
    Ok(Exit::OK)
}

fn collect(command: &Command, path: String, nodes: &mut Vec<Node>) {
    let subcommands: Vec<&Command> = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
        .collect();
    let flags = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")));
    let words = subcommands
        .iter()
        .map(|sub| sub.get_name().to_owned())
        .chain(flags)
        .collect();
    for sub in &subcommands {
        let below = if path.is_empty() {
            sub.get_name().to_owned()
        } else {
            format!("{path} {}", sub.get_name())
        };
        collect(sub, below, nodes);
    }
    nodes.push(Node { path, words });
}

/// `case` arms from command path to words, shared by bash and zsh.
fn arms(nodes: &[Node]) -> String {
    nodes.iter().fold(String::new(), |mut text, node| {
        let written = writeln!(text, "    '{}') words='{}' ;;", node.path, node.words.join(" "));
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        text
    })
}

fn bash(nodes: &[Node]) -> String {
    format!(
        "_openclaw() {{
  local path='' word words=''
  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do
    [[ $word == -* ]] && continue
    case \" {known} \" in *\" ${{path:+$path/}}$word \"*) path=\"${{path:+$path/}}$word\" ;; esac
  done
  case \"${{path//\\// }}\" in
{arms}  esac
  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))
}}
complete -F _openclaw openclaw
",
        known = known(nodes),
        arms = arms(nodes)
    )
}

fn zsh(nodes: &[Node]) -> String {
    format!(
        "#compdef openclaw
_openclaw() {{
  local here='' word choices=''
  for word in \"${{(@)words[2,CURRENT-1]}}\"; do
    [[ $word == -* ]] && continue
    case \" {known} \" in *\" ${{here:+$here/}}$word \"*) here=\"${{here:+$here/}}$word\" ;; esac
  done
  case \"${{here//\\// }}\" in
{arms}  esac
  compadd -- ${{=choices}}
}}
compdef _openclaw openclaw
",
        known = known(nodes),
        arms = arms(nodes).replace(") words=", ") choices=")
    )
}

fn fish(nodes: &[Node]) -> String {
    let mut text = String::from("complete -c openclaw -f\n");
    for node in nodes {
        let parts: Vec<&str> = node.path.split(' ').filter(|part| !part.is_empty()).collect();
        let below = nodes
            .iter()
            .filter_map(|other| other.path.strip_prefix(&node.path))
            .map(str::trim_start)
            .filter(|rest| !rest.is_empty() && !rest.contains(' '))
            .collect::<Vec<_>>()
            .join(" ");
        let seen: Vec<String> = parts
            .iter()
            .map(|part| format!("__fish_seen_subcommand_from {part}"))
            .collect();
        let mut condition = if seen.is_empty() {
            "__fish_use_subcommand".to_owned()
        } else {
            seen.join("; and ")
        };
        if !seen.is_empty() && !below.is_empty() {
            condition.push_str(&format!("; and not __fish_seen_subcommand_from {below}"));
        }
        for word in &node.words {
            let option = word
                .strip_prefix("--")
                .map_or_else(|| format!("-a {word}"), |long| format!("-l {long}"));
            text.push_str(&format!("complete -c openclaw -n '{condition}' {option}\n"));
        }
    }
    text
}

fn powershell(nodes: &[Node]) -> String {
    let table: String = nodes
        .iter()
        .map(|node| format!("    '{}' = '{}'\n", node.path, node.words.join(" ")))
        .collect();
    format!(
        "Register-ArgumentCompleter -Native -CommandName openclaw -ScriptBlock {{
  param($wordToComplete, $commandAst, $cursorPosition)
  $table = @{{
{table}  }}
  $path = ''
  foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {{
    $next = (\"$path $element\").Trim()
    if ($table.ContainsKey($next)) {{ $path = $next }}
  }}
  $table[$path].Split(' ') | Where-Object {{ $_ -like \"$wordToComplete*\" }} |
    ForEach-Object {{ [System.Management.Automation.CompletionResult]::new($_) }}
}}
"
    )
}

/// Every path with `/` between its words, for a look-up in the shell.
fn known(nodes: &[Node]) -> String {
    nodes
        .iter()
        .filter(|node| !node.path.is_empty())
        .map(|node| node.path.replace(' ', "/"))
        .collect::<Vec<_>>()
        .join(" ")
}
