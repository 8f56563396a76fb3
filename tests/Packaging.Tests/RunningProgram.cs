using System.Diagnostics;
using System.Net;
using System.Text;

namespace Packaging.Tests;

/// <summary>A packaged gateway, started with nothing but the variables given here: no .NET on the PATH, no home.</summary>
internal sealed class RunningProgram : IAsyncDisposable
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly TaskCompletionSource<Uri> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private RunningProgram(Process process) => this.process = process;

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

    /// <summary>Starts it and waits until it listens.</summary>
    public static async Task<RunningProgram> StartAsync(string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }
        var running = new RunningProgram(new Process { StartInfo = start });
        running.process.OutputDataReceived += (_, line) => running.Take(line.Data);
        running.process.ErrorDataReceived += (_, line) => running.Take(line.Data);
        running.process.Start();
        running.process.BeginOutputReadLine();
        running.process.BeginErrorReadLine();
        var exited = running.process.WaitForExitAsync();
        if (await Task.WhenAny(running.listening.Task, exited).WaitAsync(HangGuard) == exited)
        {
            Assert.Fail($"{program} ended with {running.process.ExitCode}: {running.Output}");
        }
        return running;
    }

    /// <summary>Asks for a path.</summary>
    public async Task<(HttpStatusCode Status, string Body)> GetAsync(string path)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var response = await client.GetAsync(new Uri(await listening.Task, path), TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Asks it to stop, as systemd and Kubernetes do.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> StopAsync()
    {
        await Command.RunAsync("kill", ["-TERM", $"{process.Id}"], "/");
        await process.WaitForExitAsync().WaitAsync(HangGuard);
        return process.ExitCode;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }
        process.Dispose();
    }

    private void Take(string? line)
    {
        if (line is null)
        {
            return;
        }
        lock (output)
        {
            output.AppendLine(line);
        }
        if (line.Split(" listens on ") is [_, var address])
        {
            listening.TrySetResult(new Uri(address.Trim()));
        }
    }
}
