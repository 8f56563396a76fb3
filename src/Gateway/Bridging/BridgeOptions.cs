namespace Gateway.Bridging;

/// <summary>What the bridge is told on its command line and in its environment.</summary>
internal sealed record BridgeOptions
{
    /// <summary>Variable with the virtual key: options show in process lists.</summary>
    public const string KeyVariable = "GATEWAY_KEY";

    /// <summary>What an entry holds until its reader has put a key there.</summary>
    public const string KeyPlaceholder = "YOUR-VIRTUAL-KEY";

    /// <summary>The running gateway, with or without <c>/mcp</c>.</summary>
    public string Url { get; init; } = Hosting.ListenAddresses.Default;

    /// <summary>A file that holds the virtual key; null: the environment does.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether the key may cross the network unencrypted.</summary>
    public bool AllowHttp { get; init; }

    /// <summary>Reads the environment.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>The virtual key, or why there is none, in words for the user.</summary>
    public (string? Key, string? Problem) ReadKey()
    {
        if (KeyFile is not null)
        {
            try
            {
                var text = File.ReadAllText(KeyFile).Trim();
                return IsKey(text) ? (text, null) : (null, $"The key file '{KeyFile}' does not hold a key on one line.");
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return (null, $"The key file '{KeyFile}' cannot be read: {exception.Message}");
            }
        }
        var key = Environment(KeyVariable)?.Trim();
        // Clients hand on what they could not fill in as it stands.
        return string.IsNullOrEmpty(key) || key == KeyPlaceholder || key.StartsWith("${", StringComparison.Ordinal)
            ? (null, $"No virtual key: set {KeyVariable} in the environment of the bridge, or give --key-file.")
            : IsKey(key) ? (key, null) : (null, $"{KeyVariable} does not hold a key: it has characters that no key has.");
    }

    private static bool IsKey(string text) => text.Length > 0 && !text.AsSpan().ContainsAnyExceptInRange('!', '~');
}
