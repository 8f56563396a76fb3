using System.Diagnostics;
using System.Text;

namespace Gateway.Tests.Interop;

/// <summary>A process that a test starts: its output is kept, and it ends, with its children, when disposed of.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private static readonly string[] Inherited = ["PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "SYSTEMROOT", "USERPROFILE", "DOTNET_ROOT", "DOTNET_CLI_HOME"];

    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly Task reading;

    private ChildProcess(Process process, Action<string> seen)
    {
        this.process = process;
        reading = Task.WhenAll(ReadAsync(process.StandardOutput, seen), ReadAsync(process.StandardError, seen));
    }

    /// <summary>All that it printed so far.</summary>
    public string Output
    {
        get
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }

    /// <summary>Its exit code, once it has ended.</summary>
    public int ExitCode => process.ExitCode;

    /// <summary>Starts a process.</summary>
    /// <param name="program">What to run.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Its working directory.</param>
    /// <param name="environment">Its variables, beside those that <see cref="Isolated"/> keeps: settings of the machine must not decide a test.</param>
    /// <param name="seen">Gets each line that it prints.</param>
    public static ChildProcess Start(string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment, Action<string>? seen = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var (name, value) in Isolated(environment))
        {
            start.Environment[name] = value;
        }
        return new ChildProcess(Process.Start(start)!, seen ?? (_ => { }));
    }

    /// <summary>Variables that leave a process with those given here and the few that every process needs.</summary>
    public static Dictionary<string, string?> Isolated(IReadOnlyDictionary<string, string> given)
    {
        var all = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Except(Inherited, StringComparer.OrdinalIgnoreCase).ToDictionary(name => name, _ => (string?)null);
        foreach (var (name, value) in given)
        {
            all[name] = value;
        }
        return all;
    }

    /// <summary>Waits until it has ended and all that it printed was read.</summary>
    public async Task WaitForExitAsync(CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken);
        await reading.WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
        }
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader, Action<string> seen)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }
            seen(line);
        }
    }
}
