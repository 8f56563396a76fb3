using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Shared.Snapshots;

/// <summary>A web API that an OpenAPI document describes, as its manifest declares it.</summary>
public sealed record OpenApiSource
{
    /// <summary>The document: the full path of a file, or an http or https address.</summary>
    public required string Document { get; init; }

    /// <summary>The document's address; null: it is a file.</summary>
    public Uri? DocumentUrl { get; init; }

    /// <summary>The API's address in place of the document's servers; null: those.</summary>
    public Uri? BaseUrl { get; init; }

    /// <summary>Values of variables in the addresses of the document's servers.</summary>
    public ImmutableDictionary<string, string> ServerVariables { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Credentials by the name of the document's security scheme.</summary>
    public ImmutableDictionary<string, OpenApiCredential> Credentials { get; init; } = ImmutableDictionary<string, OpenApiCredential>.Empty;

    /// <summary>Operations that become tools; empty: all.</summary>
    public ImmutableArray<OperationRule> Include { get; init; } = [];

    /// <summary>Operations that do not.</summary>
    public ImmutableArray<OperationRule> Exclude { get; init; } = [];

    /// <summary>Whether deprecated operations are left out.</summary>
    public bool OmitsDeprecated { get; init; }

    /// <summary>Whether tools say what their results look like.</summary>
    public bool HasOutputSchemas { get; init; } = true;

    /// <summary>The most bytes of an answer that a caller gets.</summary>
    public int MaxResultBytes { get; init; } = 1024 * 1024;

    /// <summary>The most bytes that the document may have.</summary>
    public int MaxDocumentBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>How often a document at an address is read anew.</summary>
    public TimeSpan Refresh { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Everything it says, as one text that holds its secrets: two that are equal are called alike.</summary>
    public string Signature
    {
        get
        {
            var text = new StringBuilder();
            void Add(object? part) => text.Append(CultureInfo.InvariantCulture, $"{part}\u001f");
            Add(Document);
            Add(BaseUrl);
            Add(OmitsDeprecated);
            Add(HasOutputSchemas);
            Add(MaxResultBytes);
            Add(MaxDocumentBytes);
            Add(Refresh);
            foreach (var (name, value) in ServerVariables.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                Add(name);
                Add(value);
            }
            foreach (var (name, value) in Credentials.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                Add(name);
                Add(value.Secret);
                Add(value.Username);
                Add(value.Password);
            }
            foreach (var (kind, rule) in Include.Select(rule => ("+", rule)).Concat(Exclude.Select(rule => ("-", rule))))
            {
                Add(kind);
                Add(string.Join('\u001e', rule.Methods));
                Add(string.Join('\u001e', rule.Tags));
                Add(rule.Path);
            }
            return text.ToString();
        }
    }
}

/// <summary>What a security scheme is filled in with. Secret: it is never shown.</summary>
/// <param name="Secret">A key or a token; null: there is a user.</param>
/// <param name="Username">A user; null: there is a key or token.</param>
/// <param name="Password">The user's password; null: an empty one.</param>
public sealed class OpenApiCredential(string? Secret, string? Username, string? Password)
{
    /// <summary>A key or a token; null: there is a user.</summary>
    public string? Secret { get; } = Secret;

    /// <summary>A user; null: there is a key or token.</summary>
    public string? Username { get; } = Username;

    /// <summary>The user's password; null: an empty one.</summary>
    public string? Password { get; } = Password;
}

/// <summary>A condition on operations: all that it says must hold.</summary>
/// <param name="Methods">Methods in capitals, of which the operation has one; empty: any.</param>
/// <param name="Tags">Tags, of which the operation has one; empty: any.</param>
/// <param name="Path">A glob over the path as the document writes it; null: any.</param>
public sealed record OperationRule(ImmutableArray<string> Methods, ImmutableArray<string> Tags, string? Path);
