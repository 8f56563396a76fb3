namespace Gateway.Tests.Docs;

/// <summary>Checks that links lead somewhere. Those to other sites are only read: tests do not leave the machine.</summary>
internal static class DocLinks
{
    /// <summary>What is wrong with a page's links.</summary>
    public static IEnumerable<string> Check(DocPage page, string root)
    {
        foreach (var link in page.Links)
        {
            if (Uri.TryCreate(link.Target, UriKind.Absolute, out var address) && !address.IsFile)
            {
                continue;
            }
            var parts = link.Target.Split('#', 2);
            var file = parts[0].Length == 0 ? page.Path : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page.Path)!, Uri.UnescapeDataString(parts[0])));
            if (!file.StartsWith(root, StringComparison.Ordinal) || !(file == page.Path || File.Exists(file) || Directory.Exists(file)))
            {
                yield return $"{link.Line}: the link '{link.Target}' leads to no file of the repository";
            }
            else if (parts.Length == 2 && file.EndsWith(".md", StringComparison.Ordinal))
            {
                var target = file == page.Path ? page : DocPage.Parse(file, File.ReadAllText(file));
                if (!target.Anchors.Contains(Uri.UnescapeDataString(parts[1])))
                {
                    yield return $"{link.Line}: the link '{link.Target}': the page has no such heading";
                }
            }
        }
    }
}
