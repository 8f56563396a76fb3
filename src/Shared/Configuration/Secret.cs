using System.Security.Cryptography;
using System.Text;

namespace Shared.Configuration;

/// <summary>A text that must not be shown: its <see cref="ToString"/> is masked.</summary>
public sealed class Secret : IEquatable<Secret>
{
    internal const string FingerprintStart = "sha256:";

    private readonly string value;

    /// <summary>Wraps a text.</summary>
    public Secret(string value) => this.value = value;

    /// <summary>Wraps a text that came of references.</summary>
    internal Secret(string value, string written) => (this.value, Written) = (value, written);

    /// <summary>The text with its references as it was written; null where it holds none, and is the secret itself.</summary>
    internal string? Written { get; }

    /// <summary>The text itself, for the place that sends it.</summary>
    public string Reveal() => value;

    /// <summary><c>***</c>, whatever the text.</summary>
    public override string ToString() => "***";

    /// <inheritdoc/>
    public bool Equals(Secret? other) => other is not null && value == other.value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Secret);

    /// <inheritdoc/>
    public override int GetHashCode() => string.GetHashCode(value, StringComparison.Ordinal);

    /// <summary>Stands for the text where two of them are compared without being kept.</summary>
    internal string Fingerprint() => FingerprintStart + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(value)));
}
