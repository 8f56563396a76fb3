namespace Shared.Tests.Storage;

/// <summary>A folder that goes when the test does.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "gateway-tests", Guid.NewGuid().ToString("N"));

    public TempFolder() => Directory.CreateDirectory(Path);

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Copies the files as they are at this moment, as the death of the process would leave them.</summary>
    public TempFolder Copy()
    {
        var copy = new TempFolder();
        foreach (var file in Directory.GetFiles(Path).Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)))
        {
            System.IO.File.Copy(file, copy.File(System.IO.Path.GetFileName(file)));
        }
        return copy;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
