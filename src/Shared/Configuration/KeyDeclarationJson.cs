using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Shared.Configuration;

/// <summary>Key declarations as JSON: the bodies of the admin API, and what the database keeps.</summary>
public static class KeyDeclarationJson
{
    /// <summary>Reads a declaration. What it refers to (a user, a team) is checked when the snapshot is built.</summary>
    /// <param name="utf8">A JSON object of the same form as an entry under <c>keys</c>, without <c>key</c>.</param>
    /// <param name="source">What errors call the text, e.g. <c>request body</c>.</param>
    /// <returns>The declaration, or null where the text is no JSON object; usable only when there are no errors.</returns>
    public static (KeyDeclaration? Declaration, IReadOnlyList<ConfigError> Errors) Parse(ReadOnlySpan<byte> utf8, string source)
    {
        List<ConfigError> errors = [];
        if (JsonNodes.Read(source, utf8, errors) is not { } node)
        {
            return (null, errors);
        }
        if (node is not ConfigMapping)
        {
            errors.Add(node.Error($"expected an object, found {node.Describe()}"));
            return (null, errors);
        }
        var declaration = new ConfigBinder(errors, SecretReferences.None).Bind<KeyDeclaration>(node);
        if (declaration?.Key is not null)
        {
            errors.Add(declaration.Error("key", "is for files; the gateway makes the tokens of keys that are created through the API"));
        }
        return (declaration, errors);
    }

    /// <summary>Writes a declaration as one line of JSON that <see cref="Parse"/> reads back; members at their defaults are left out.</summary>
    public static string Write(KeyDeclaration declaration)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            ConfigWriter.Write(writer, declaration with { Key = null });
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
