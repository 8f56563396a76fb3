using System.Diagnostics;
using System.Text;

namespace TestSupport;

/// <summary>The real program as a child process, for what only a process shows: its output, its exit code, its death.</summary>
public sealed class GatewayProcess : IAsyncDisposable
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly StringBuilder error = new();
    private readonly TaskCompletionSource<Uri> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource printed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private GatewayProcess(Process process) => this.process = process;

    /// <summary>Where it listens.</summary>
    public Uri BaseAddress => listening.Task.IsCompletedSuccessfully ? listening.Task.Result : throw new InvalidOperationException("It does not listen.");

    /// <summary>The virtual key that it printed, or null.</summary>
    public string? VirtualKey => Printed("GATEWAY_KEY=");

    /// <summary>The admin key that it printed, or null.</summary>
    public string? AdminKey => Printed("GATEWAY_ADMIN_KEY=");

    /// <summary>Its process id.</summary>
    public int Id => process.Id;

    /// <summary>What it wrote to standard output so far.</summary>
    public string Output => Text(output);

    /// <summary>What it wrote to standard error so far.</summary>
    public string Error => Text(error);

    /// <summary>Starts it to serve, on a port of its own, and waits until it has printed its message.</summary>
    /// <param name="folder">Its working directory; data, configuration and manifests are found there.</param>
    /// <param name="environment">Variables set for it; null removes one.</param>
    /// <param name="cancellationToken">Stops the wait.</param>
    /// <param name="urls">Where it listens, if not on a port of its own; null: its configuration says.</param>
    /// <param name="under">A program that runs it, with its arguments; null: none.</param>
    /// <exception cref="InvalidOperationException">It ended instead; the message holds its output.</exception>
    public static async Task<GatewayProcess> ServeAsync(string folder, IReadOnlyDictionary<string, string?>? environment = null, CancellationToken cancellationToken = default, string? urls = "http://127.0.0.1:0", IReadOnlyList<string>? under = null)
    {
        var gateway = Start(folder, urls is null ? [] : ["--urls", urls], environment, under);
        var exited = gateway.process.WaitForExitAsync(cancellationToken);
        if (await Task.WhenAny(gateway.printed.Task, exited).WaitAsync(HangGuard, cancellationToken) == exited)
        {
            throw new InvalidOperationException($"The gateway ended with {gateway.process.ExitCode}: {gateway.Output}{gateway.Error}");
        }
        return gateway;
    }

    /// <summary>Starts it with any arguments.</summary>
    public static GatewayProcess Start(string folder, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?>? environment = null, IReadOnlyList<string>? under = null)
    {
        string[] command = [.. under ?? [], "dotnet", Path.Combine(AppContext.BaseDirectory, "gateway.dll"), .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("ASPNETCORE_URLS");
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }
        var gateway = new GatewayProcess(new Process { StartInfo = start });
        gateway.process.OutputDataReceived += (_, line) => gateway.Take(gateway.output, line.Data);
        gateway.process.ErrorDataReceived += (_, line) => gateway.Take(gateway.error, line.Data);
        gateway.process.Start();
        gateway.process.BeginOutputReadLine();
        gateway.process.BeginErrorReadLine();
        return gateway;
    }

    /// <summary>Waits until it has ended by itself and all its output is read.</summary>
    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken = default)
    {
        await process.WaitForExitAsync(cancellationToken).WaitAsync(HangGuard, cancellationToken);
        return process.ExitCode;
    }

    /// <summary>Ends it as <c>kill -9</c> does: it gets no chance to write anything.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync().WaitAsync(HangGuard);
    }

    /// <summary>Asks it to stop, as <c>kill</c> does, and waits for its end.</summary>
    public async Task<int> StopAsync(CancellationToken cancellationToken = default)
    {
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        await kill.WaitForExitAsync(cancellationToken);
        return await WaitForExitAsync(cancellationToken);
    }

    /// <summary>Asks it to stop where it runs under another program, which ends with it.</summary>
    public async Task StopTreeAsync(CancellationToken cancellationToken = default)
    {
        var children = (await File.ReadAllTextAsync($"/proc/{process.Id}/task/{process.Id}/children", cancellationToken)).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        using var kill = Process.Start("kill", ["-TERM", .. children]);
        await kill.WaitForExitAsync(cancellationToken);
        await WaitForExitAsync(cancellationToken);
    }

    /// <summary>Ends it, if it has not ended.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync().WaitAsync(HangGuard);
        }
        process.Dispose();
    }

    private void Take(StringBuilder text, string? line)
    {
        if (line is null)
        {
            return;
        }
        lock (text)
        {
            text.AppendLine(line);
        }
        if (line.Split(" listens on ") is [_, var address])
        {
            listening.TrySetResult(new Uri(address.Trim()));
        }
        if (line.Contains("Read on in", StringComparison.Ordinal))
        {
            printed.TrySetResult();
        }
    }

    private string? Printed(string name) =>
        Output.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.StartsWith("export " + name, StringComparison.Ordinal))?[("export " + name).Length..];

    private static string Text(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
