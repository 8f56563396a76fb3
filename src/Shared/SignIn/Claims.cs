using System.Text.Json;

namespace Shared.SignIn;

/// <summary>Reads the claims of a token, which anybody may have put anything into whom its issuer lets.</summary>
internal static class Claims
{
    private const int MaxDepth = 8;

    /// <summary>A claim by its name, or by a path of names joined by dots; null: there is none.</summary>
    public static JsonElement? Find(JsonElement claims, string path, int depth = 0)
    {
        if (claims.ValueKind != JsonValueKind.Object || depth == MaxDepth)
        {
            return null;
        }
        if (claims.TryGetProperty(path, out var value))
        {
            return value;
        }
        // The longest name first: names may hold dots themselves.
        for (var dot = path.LastIndexOf('.'); dot > 0; dot = path.LastIndexOf('.', dot - 1))
        {
            if (claims.TryGetProperty(path.AsSpan(0, dot), out var outer) && Find(outer, path[(dot + 1)..], depth + 1) is { } found)
            {
                return found;
            }
        }
        return null;
    }

    /// <summary>A text claim; null: there is none, or it is no text.</summary>
    public static string? Text(JsonElement claims, string path) => Find(claims, path) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    /// <summary>A text, number or truth value as text; null: it is none of these.</summary>
    public static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => null,
    };

    /// <summary>A claim's values: the items of a list, or the one that it is.</summary>
    public static IEnumerable<string> Texts(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().Select(TextOf).OfType<string>() : TextOf(value) is { } text ? [text] : [];

    /// <summary>The items of a list, or the words of a text.</summary>
    public static IEnumerable<string> Words(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries) : Texts(value);

    /// <summary>The scopes of a token: <c>scope</c> (RFC 9068), or <c>scp</c> as some providers call it.</summary>
    public static IReadOnlyCollection<string> Scopes(JsonElement claims) =>
        claims.TryGetProperty("scope", out var scope) ? [.. Words(scope)] : claims.TryGetProperty("scp", out var scp) ? [.. Words(scp)] : [];

    /// <summary>The audiences of a token.</summary>
    public static IReadOnlyCollection<string> Audiences(JsonElement claims) => claims.TryGetProperty("aud", out var audience) ? [.. Texts(audience)] : [];

    /// <summary>A name for people.</summary>
    public static string? DisplayName(JsonElement claims)
    {
        const int Longest = 128;
        var name = Text(claims, "email") ?? Text(claims, "preferred_username") ?? Text(claims, "name");
        return name is null || name.Length > Longest || name.Any(char.IsControl) ? null : name;
    }
}
