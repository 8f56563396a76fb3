using System.Text.RegularExpressions;

namespace Gateway.Tests.Docs;

/// <summary>
/// What a comment before a fenced block says of how the block is tested: <c>&lt;!-- test: name value --&gt;</c>. The names and their values:
/// <list type="bullet">
/// <item><c>skip reason</c>: not run; the number of skipped blocks is fixed by a test.</item>
/// <item><c>setup commands</c>: shell commands run before the block; several lines are fine.</item>
/// <item><c>with NAME=value</c>: a variable for this block alone.</item>
/// <item><c>expect-exit n</c>: the exit code, 0 otherwise.</item>
/// <item><c>replace text => other</c>: the block is run with the other text, e.g. an id that only the running gateway knows.</item>
/// <item><c>output</c>: the block is what the shell block before it prints, line by line; <c>…</c> and <c>...</c> stand for anything, other lines may come between.</item>
/// <item><c>file name</c>: the block is written to this file of the page's folder, and checked as its language says.</item>
/// <item><c>in path</c>: a piece of gateway.yaml that belongs below this path, e.g. <c>users.ada</c>.</item>
/// <item><c>beside yaml</c>: what the rest of the file says, for a piece that refers to it.</item>
/// </list>
/// </summary>
internal sealed partial record DocDirective(string Name, string Value)
{
    private static readonly string[] Known = ["skip", "setup", "with", "expect-exit", "replace", "output", "file", "in", "beside"];

    /// <summary>Reads a comment.</summary>
    /// <param name="comment">The comment, its marks included.</param>
    /// <param name="directive">What it says.</param>
    /// <param name="mistake">What is wrong with it; null: nothing.</param>
    /// <returns>Whether it speaks of tests at all.</returns>
    public static bool TryParse(string comment, out DocDirective directive, out string? mistake)
    {
        var match = Shape().Match(comment);
        directive = new DocDirective(match.Groups["name"].Value, match.Groups["value"].Value.Trim());
        mistake = null;
        if (!match.Success)
        {
            return false;
        }
        mistake = directive switch
        {
            { Name: var name } when !Known.Contains(name) => $"'{name}' is no directive; there are {string.Join(", ", Known)}",
            { Name: "output" } => null,
            { Value.Length: 0 } => $"'{directive.Name}' needs a value",
            { Name: "expect-exit" } when !int.TryParse(directive.Value, out _) => "'expect-exit' needs a number",
            { Name: "with" } when !Variable().IsMatch(directive.Value) => "'with' needs NAME=value",
            { Name: "replace" } when !directive.Value.Contains(" => ", StringComparison.Ordinal) => "'replace' needs text => other",
            _ => null,
        };
        return true;
    }

    [GeneratedRegex(@"^\s*<!--\s*test:\s*(?<name>[a-z-]*)(?<value>.*?)-->\s*$", RegexOptions.Singleline)]
    private static partial Regex Shape();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*=")]
    private static partial Regex Variable();
}
