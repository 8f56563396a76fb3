using Spectre.Console;

namespace Gateway.Hosting;

/// <summary>Prints lines for people: in colours on a terminal, as plain text elsewhere and where <c>NO_COLOR</c> is set.</summary>
internal abstract class BannerWriter
{
    private readonly Lock gate = new();

    /// <summary>The writer that suits an output. The terminal library is loaded only for a terminal.</summary>
    public static BannerWriter For(TextWriter output) =>
        IsTerminal(output) && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) ? new TerminalWriter() : new PlainWriter(output);

    /// <summary>Whether people read an output directly.</summary>
    public static bool IsTerminal(TextWriter output) => ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;

    /// <summary>Prints lines without another's between them.</summary>
    public void Write(params ReadOnlySpan<BannerLine> lines)
    {
        lock (gate)
        {
            foreach (var line in lines)
            {
                Write(line);
            }
            Flush();
        }
    }

    protected abstract void Write(BannerLine line);

    protected virtual void Flush()
    {
    }

    private sealed class PlainWriter(TextWriter output) : BannerWriter
    {
        protected override void Write(BannerLine line) => output.WriteLine(line.Text);

        protected override void Flush() => output.Flush();
    }

    private sealed class TerminalWriter : BannerWriter
    {
        private readonly IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings());

        // The terminal itself wraps long lines so that they are copied whole; breaks written into keys and commands would be copied with them.
        public TerminalWriter() => console.Profile.Width = short.MaxValue;

        protected override void Write(BannerLine line) => console.WriteLine(line.Text, line.Tone switch
        {
            BannerTone.Heading => new Style(Color.Blue, decoration: Decoration.Bold),
            BannerTone.Secret => new Style(Color.Green, decoration: Decoration.Bold),
            BannerTone.Warning => new Style(Color.Yellow),
            _ => Style.Plain,
        });
    }
}
