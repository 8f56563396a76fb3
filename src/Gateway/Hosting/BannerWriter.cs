using Spectre.Console;

namespace Gateway.Hosting;

/// <summary>Prints lines for people: in colours on a terminal, as plain text elsewhere and where <c>NO_COLOR</c> is set.</summary>
internal abstract class BannerWriter
{
    private readonly Lock gate = new();

    /// <summary>The writer that suits an output. The terminal library is loaded only for a terminal.</summary>
    public static BannerWriter For(TextWriter output) =>
        ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
            ? new TerminalWriter()
            : new PlainWriter(output);

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
        protected override void Write(BannerLine line)
        {
            var style = line.Tone switch
            {
                BannerTone.Heading => "bold blue",
                BannerTone.Secret => "bold green",
                BannerTone.Warning => "yellow",
                _ => "default",
            };
            // Cropped or wrapped keys and commands could not be copied.
            AnsiConsole.Write(new Text(line.Text, Style.Parse(style)) { Overflow = Overflow.Fold });
            AnsiConsole.WriteLine();
        }
    }
}
