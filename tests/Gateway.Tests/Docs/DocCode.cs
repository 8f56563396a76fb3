namespace Gateway.Tests.Docs;

/// <summary>Runs snippets in programming languages against the page's gateway.</summary>
internal static class DocCode
{
    private static readonly Dictionary<string, string> Commands = new(StringComparer.Ordinal)
    {
        ["js"] = "run-js block.mjs",
        ["javascript"] = "run-js block.mjs",
        ["ts"] = "run-js block.mts",
        ["typescript"] = "run-js block.mts",
        // The official package is not to be had where tests run: what is checked is the form.
        ["python"] = "python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' .snippet/block.py",
        ["py"] = "python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' .snippet/block.py",
    };

    /// <summary>Whether snippets of that language are run here.</summary>
    public static bool Knows(string language) => Commands.ContainsKey(language);

    /// <summary>Runs a snippet.</summary>
    /// <returns>What went wrong; null: nothing.</returns>
    public static Task<string?> RunAsync(DocBlock block, DocShell shell, CancellationToken cancellationToken)
    {
        var command = Commands[block.Language];
        shell.Write(".snippet/" + command.Split(['/', ' '])[^1], block.Text);
        return shell.RunAsync(block with { Text = command }, cancellationToken);
    }
}
