using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Gateway.Tests.Interop;
using TestSupport;

namespace Gateway.Tests.Docs;

/// <summary>
/// Runs the shell blocks of one page, in their order, in a folder of their own that holds what a clone holds and a gateway that serves there. Variables and the
/// current folder last from one block to the next, as in the reader's terminal.
/// </summary>
internal sealed partial class DocShell : IAsyncDisposable
{
    /// <summary>How long one block may take before it counts as hanging.</summary>
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(90);

    // Programs that change the machine, need a network, or are not there.
    private static readonly string[] NotHere =
        ["docker", "podman", "kubectl", "helm", "systemctl", "journalctl", "apt", "apt-get", "sudo", "su", "git", "npm", "claude", "code", "cursor", "codex", "gemini", "pip", "wget"];

    private static readonly string Modules = Path.Combine(InteropFolder.Folder, "node_modules");

    private readonly TemporaryFolder folder = new();
    private readonly FakeProvider provider;
    private readonly string bin;
    private readonly string state;
    private readonly int port = FreePort.Next();
    private bool served;

    private DocShell(FakeProvider provider)
    {
        this.provider = provider;
        bin = Directory.CreateDirectory(Path.Combine(folder.Path, "bin")).FullName;
        state = Directory.CreateDirectory(Path.Combine(folder.Path, "state")).FullName;
        Work = Directory.CreateDirectory(Path.Combine(folder.Path, "work")).FullName;
        Directory.CreateDirectory(Path.Combine(folder.Path, "home"));
    }

    /// <summary>The page's folder.</summary>
    public string Work { get; }

    /// <summary>What the last block printed.</summary>
    public string LastOutput { get; private set; } = "";

    /// <summary>Prepares the folder; the gateway starts with the first block.</summary>
    public static async Task<DocShell> StartAsync(CancellationToken cancellationToken)
    {
        var provider = await FakeProvider.StartAsync(cancellationToken);
        provider.Otherwise = request => request.Json.TryGetProperty("stream", out var stream) && stream.ValueKind == System.Text.Json.JsonValueKind.True
            ? FakeReply.Stream(FakeReply.Content("Hello!"), FakeReply.Finish(), FakeReply.Usage(9, 3), FakeReply.Done)
            : FakeReply.Completion("Hello!");
        var shell = new DocShell(provider);
        var scripts = Path.Combine(InteropFolder.Root, "tests", "Gateway.Tests", "Docs", "shell");
        foreach (var script in Directory.EnumerateFiles(scripts))
        {
            shell.AddProgram(Path.GetFileName(script), await File.ReadAllTextAsync(script, cancellationToken));
        }
        foreach (var name in NotHere)
        {
            shell.AddProgram(name, $"#!/bin/sh\nexec not-here {name} \"$@\"\n");
        }
        File.Copy(Path.Combine(InteropFolder.Root, "gateway.example.yaml"), Path.Combine(shell.Work, "gateway.example.yaml"));
        CopyFolder(Path.Combine(InteropFolder.Root, "tool-manifests"), Path.Combine(shell.Work, "tool-manifests"));
        CopyFolder(Path.Combine(InteropFolder.Root, "packaging"), Path.Combine(shell.Work, "packaging"));
        return shell;
    }

    /// <summary>Runs a block.</summary>
    /// <returns>What went wrong; null: nothing.</returns>
    public async Task<string?> RunAsync(DocBlock block, CancellationToken cancellationToken)
    {
        if (!served)
        {
            served = true;
            if (await RunAsync("gateway", [], 0, cancellationToken) is { } failure)
            {
                return failure;
            }
        }
        foreach (var setup in block.All("setup"))
        {
            if (await RunAsync(ToHere(setup), [], 0, cancellationToken) is { } failure)
            {
                return "setup: " + failure;
            }
        }
        var text = block.All("replace").Select(pair => pair.Split(" => ", 2)).Aggregate(block.Text, (all, pair) => all.Replace(pair[0].Trim(), pair[1].Trim(), StringComparison.Ordinal));
        var expected = int.Parse(block.Find("expect-exit") ?? "0", CultureInfo.InvariantCulture);
        return await RunAsync(ToHere(text), [.. block.All("with")], expected, cancellationToken);
    }

    /// <summary>Writes a block into the page's folder.</summary>
    public void Write(string name, string text)
    {
        var path = Path.GetFullPath(Path.Combine(Work, name));
        Assert.StartsWith(Work, path, StringComparison.Ordinal);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, ToHere(text) + "\n");
    }

    /// <summary>Compares what the last block printed with a block of the page: its lines, in order; others may stand between.</summary>
    /// <returns>The first line that was not printed; null: all were.</returns>
    public string? Compare(string expected)
    {
        var printed = LastOutput.Split('\n').Select(line => line.TrimEnd()).ToArray();
        var next = 0;
        foreach (var line in expected.Split('\n').Select(line => line.TrimEnd()).Where(line => line.Length > 0))
        {
            var pattern = new Regex("^" + Regex.Escape(ToHere(line)).Replace("…", ".*", StringComparison.Ordinal).Replace(@"\.\.\.", ".*", StringComparison.Ordinal) + "$");
            while (next < printed.Length && !pattern.IsMatch(printed[next]))
            {
                next++;
            }
            if (next++ >= printed.Length)
            {
                return $"this line was not printed: {line}{Environment.NewLine}It printed:{Environment.NewLine}{WithoutKeys(LastOutput)}";
            }
        }
        return null;
    }

    /// <summary>Ends the gateway and what the blocks left running.</summary>
    public async ValueTask DisposeAsync()
    {
        if (served)
        {
            await RunAsync("gateway doc-stop", [], 0, CancellationToken.None);
        }
        await provider.DisposeAsync();
        folder.Dispose();
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private static string WithoutKeys(string text) => Keys().Replace(text, "[key]");

    private void AddProgram(string name, string text)
    {
        var path = Path.Combine(bin, name);
        // Said in the program, as tool servers inherit none of these variables.
        var lines = text.Split('\n', 2);
        File.WriteAllText(path, $"{lines[0]}\nDOC_NODE='{InteropFolder.Node}' DOC_MODULES='{Modules}'\n{lines[1]}");
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException("Pages are run by bash.");
        }
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>The page's address and its placeholders for keys mean those of this run.</summary>
    private string ToHere(string text) => text
        .Replace("127.0.0.1:8080", $"127.0.0.1:{port}", StringComparison.Ordinal)
        .Replace("localhost:8080", $"127.0.0.1:{port}", StringComparison.Ordinal)
        .Replace("sk-gw-...", "${GATEWAY_KEY}", StringComparison.Ordinal).Replace("sk-gw-…", "${GATEWAY_KEY}", StringComparison.Ordinal)
        .Replace("ak-gw-...", "${GATEWAY_ADMIN_KEY}", StringComparison.Ordinal).Replace("ak-gw-…", "${GATEWAY_ADMIN_KEY}", StringComparison.Ordinal);

    private async Task<string?> RunAsync(string text, IReadOnlyList<string> variables, int expectedExit, CancellationToken cancellationToken)
    {
        var block = Path.Combine(state, "block.sh");
        await File.WriteAllTextAsync(block, text + "\n", cancellationToken);
        // What a block leaves behind is written when it ends, however it ends. Variables for one block are set in a process of its own.
        var script = $$"""
            exec >"$DOC_STATE/output" 2>&1
            cd "$DOC_WORK"
            [ -f "$DOC_STATE/variables" ] && . "$DOC_STATE/variables"
            [ -f "$DOC_STATE/keys" ] && . "$DOC_STATE/keys" && rm "$DOC_STATE/keys"
            [ -f "$DOC_STATE/folder" ] && cd "$(cat "$DOC_STATE/folder")"
            {{(variables.Count > 0 ? "export " + string.Join(' ', variables.Select(Quoted)) : ":")}}
            {{(variables.Count > 0 ? "" : "trap 'code=$?; export -p >\"$DOC_STATE/variables\"; pwd >\"$DOC_STATE/folder\"; exit $code' EXIT")}}
            set -eo pipefail
            . "$DOC_STATE/block.sh"
            """;
        await using var bash = ChildProcess.Start("bash", ["-c", script], Work, Variables());
        var ended = bash.WaitForExitAsync(cancellationToken);
        var hangs = await Task.WhenAny(ended, Task.Delay(HangGuard, cancellationToken)) != ended;
        LastOutput = await File.ReadAllTextAsync(Path.Combine(state, "output"), cancellationToken);
        if (!hangs && bash.ExitCode == expectedExit)
        {
            return null;
        }
        var failure = new StringBuilder();
        failure.AppendLine(hangs ? $"it had not ended after {HangGuard.TotalSeconds} s" : $"it ended with {bash.ExitCode} instead of {expectedExit}");
        failure.AppendLine("--- it ran:").AppendLine(text.TrimEnd()).AppendLine("--- it printed:").AppendLine(LastOutput.TrimEnd());
        var log = Path.Combine(state, "serve.err");
        if (File.Exists(log))
        {
            failure.AppendLine("--- the gateway's warnings and errors:").AppendJoin('\n', File.ReadLines(log).Where(line => !line.Contains("\"LogLevel\":\"Information\"", StringComparison.Ordinal)).TakeLast(8)).AppendLine();
        }
        return WithoutKeys(failure.ToString());
    }

    private static string Quoted(string assignment)
    {
        var parts = assignment.Split('=', 2);
        return $"{parts[0]}={(parts[1].StartsWith('"') || parts[1].StartsWith('\'') ? parts[1] : $"'{parts[1]}'")}";
    }

    private Dictionary<string, string> Variables()
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return new Dictionary<string, string>
        {
            ["PATH"] = bin + Path.PathSeparator + path,
            ["HOME"] = Path.Combine(folder.Path, "home"),
            ["DOC_PROVIDER"] = provider.BaseAddress.ToString(),
            ["DOC_PATH"] = path,
            ["DOC_WORK"] = Work,
            ["DOC_STATE"] = state,
            ["DOC_PORT"] = port.ToString(CultureInfo.InvariantCulture),
            ["DOC_DOTNET"] = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : Dotnet(path),
            ["DOC_PROGRAM"] = Path.Combine(AppContext.BaseDirectory, "gateway.dll"),
        };
    }

    private static string Dotnet(string path) => path.Split(Path.PathSeparator).Select(each => Path.Combine(each, "dotnet")).First(File.Exists);

    [GeneratedRegex("[sa]k-gw-[0-9A-Za-z-]+")]
    private static partial Regex Keys();
}
