//! Where a command writes: results to stdout, everything else to stderr, colour and tables only where somebody looks.
//!
//! What others wrote (a gateway's answer, a model's words, a name) is shown without what a terminal would obey; JSON and
//! text for programs are printed as they are.
//!
//! A reader that goes away (`| head`) ends the command quietly and successfully; other write errors make it fail.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use comfy_table::{ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use super::exit::{Exit, Failure};
use crate::base::printable;

/// Table width when the output is not a terminal.
const PLAIN_TABLE_WIDTH: u16 = 120;

/// Narrowest terminal that a table is fitted into.
const MIN_TABLE_WIDTH: u16 = 40;

const BOX: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// How output looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours on stdout.
    pub color_out: bool,
    /// Colours on stderr.
    pub color_err: bool,
    /// Whether stdout is a terminal, so that tables follow its width.
    pub terminal: bool,
}

/// The two streams of a command.
pub struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    look: Look,
    reader_gone: bool,
    failed: Option<io::Error>,
}

impl Printer {
    /// Writes to the given streams.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>, look: Look) -> Self {
        Self {
            out,
            err,
            look,
            reader_gone: false,
            failed: None,
        }
    }

    /// Writes to the process's streams; colours follow the terminal, `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.
    pub fn stdio() -> Self {
        let wants = |choice: anstream::ColorChoice| choice != anstream::ColorChoice::Never;
        let look = Look {
            color_out: wants(anstream::AutoStream::choice(&io::stdout())),
            color_err: wants(anstream::AutoStream::choice(&io::stderr())),
            terminal: io::stdout().is_terminal(),
        };
        Self::new(
            Box::new(BufWriter::new(io::stdout())),
            Box::new(BufWriter::new(io::stderr())),
            look,
        )
    }

    /// Turns colours off.
    pub fn plain(&mut self) {
        self.look.color_out = false;
        self.look.color_err = false;
    }

    /// Whether the reader of stdout is gone; long-running commands then stop.
    pub fn reader_gone(&self) -> bool {
        self.reader_gone
    }

    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.look.terminal
    }

    /// Whether stdout shows colours.
    pub fn colored(&self) -> bool {
        self.look.color_out
    }

    /// One line of result.
    pub fn line(&mut self, text: impl Display) {
        let text = text.to_string();
        let done = writeln!(self.out, "{}", printable::lines(&text, self.look.color_out));
        self.settle(done);
    }

    /// A heading in the result.
    pub fn heading(&mut self, text: &str) {
        if self.look.color_out {
            self.line(text.style(Style::new().bold()));
        } else {
            self.line(text);
        }
    }

    /// One value for programs, as it is.
    pub fn value(&mut self, text: &str) {
        let done = writeln!(self.out, "{text}");
        self.settle(done);
    }

    /// Text without a line end, as it is.
    pub fn raw(&mut self, text: &str) {
        let done = self.out.write_all(text.as_bytes());
        self.settle(done);
    }

    /// A document, pretty with two spaces.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        let done = serde_json::to_writer_pretty(&mut self.out, value)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.settle(done);
    }

    /// A document on one line.
    pub fn json_line<T: Serialize + ?Sized>(&mut self, value: &T) {
        let done = serde_json::to_writer(&mut self.out, value)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.settle(done);
    }

    /// One line for people, on stderr.
    pub fn note(&mut self, text: impl Display) {
        self.flush();
        let text = text.to_string();
        let shown = printable::lines(&text, self.look.color_err);
        let done = writeln!(self.err, "{shown}").and_then(|()| self.err.flush());
        self.settle_err(done);
    }

    /// Text without a line end on stderr.
    pub fn raw_note(&mut self, text: &str) {
        self.flush();
        let done = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
        self.settle_err(done);
    }

    /// What went wrong: text on stderr and, for programs, `{ok:false, error}` on stdout.
    pub fn failure(&mut self, failure: &Failure, json: bool) {
        if json {
            self.json(&serde_json::json!({
                "ok": false,
                "error": { "code": failure.code, "message": failure.message },
            }));
        }
        if self.look.color_err {
            let (head, rest) = failure.text.split_once('\n').unwrap_or((&failure.text, ""));
            self.note(head.style(Style::new().red()));
            if !rest.is_empty() {
                self.note(rest);
            }
        } else {
            self.note(&failure.text);
        }
    }

    /// A box table.
    pub fn table<const N: usize>(&mut self, header: [&str; N], rows: Vec<[String; N]>) {
        let mut table = Table::new();
        table.load_style(BOX).set_header(header.to_vec());
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // A terminal that does not know its width, or is too narrow for a table, gets the plain form.
        let fits = table.width().is_some_and(|width| width >= MIN_TABLE_WIDTH);
        if !self.look.terminal || !fits {
            table.force_no_tty().set_width(PLAIN_TABLE_WIDTH);
        }
        for row in rows {
            table.add_row(row.to_vec());
        }
        self.line(table);
    }

    /// Pushes stdout to its reader.
    pub fn flush(&mut self) {
        let done = self.out.flush();
        self.settle(done);
    }

    /// Ends the output and says how the command really ended.
    pub fn finish(&mut self, exit: Exit) -> Exit {
        self.flush();
        match self.failed.take() {
            Some(error) => {
                self.note(format_args!("cannot write the output: {error}"));
                Exit::FAILURE
            }
            None if self.reader_gone => Exit::OK,
            None => exit,
        }
    }

    fn settle(&mut self, done: io::Result<()>) {
        match done {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.reader_gone = true,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Nobody can be told that stderr is broken; a closed one must not hide the result.
    fn settle_err(&mut self, done: io::Result<()>) {
        drop(done);
    }
}
