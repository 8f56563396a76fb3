using System.Diagnostics;
using System.Text;

namespace Packaging.Tests;

/// <summary>Runs a program to its end.</summary>
internal static class Command
{
    /// <summary>A publish on a busy machine of two cores takes minutes.</summary>
    private static readonly TimeSpan HangGuard = TimeSpan.FromMinutes(8);

    /// <summary>Runs it and fails unless it ends with 0.</summary>
    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string program, string[] arguments, string folder, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var (code, output) = await TryRunAsync(program, arguments, folder, environment);
        Assert.True(code == 0, $"{program} {string.Join(' ', arguments)} ended with {code}:{Environment.NewLine}{output}");
        return output;
    }

    /// <summary>Runs it.</summary>
    /// <returns>Its exit code and what it printed.</returns>
    public static async Task<(int Code, string Output)> TryRunAsync(string program, string[] arguments, string folder, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }
        using var process = Process.Start(start)!;
        var output = new StringBuilder();
        process.OutputDataReceived += (_, line) => Take(line.Data);
        process.ErrorDataReceived += (_, line) => Take(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(HangGuard, TestContext.Current.CancellationToken);
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        return (process.ExitCode, output.ToString());

        void Take(string? line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }
        }
    }
}
