using System.Buffers;
using System.Collections;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Shared.Configuration;
using Shared.Snapshots;

namespace Gateway.Commands.Configuration;

/// <summary>The configuration as it takes effect, each value with where it comes from. Secrets are masked.</summary>
internal sealed partial class EffectiveConfiguration(ConfigurationExamination examination, Func<string, string?> environment)
{
    private const string Masked = "***";
    private const string BuiltIn = "built-in";
    private const string Stored = "database";

    /// <summary>All of it, in the order of <c>gateway.yaml</c>, and then the tool manifests by id.</summary>
    public ShownValue All()
    {
        var gateway = examination.Sources.Gateway;
        List<ShownValue> members = [];
        foreach (var member in TypeShape.Of(typeof(GatewayDeclaration)).Members)
        {
            members.Add(member.Name switch
            {
                "providers" => new ShownValue(member.Name) { Children = [.. examination.Snapshot.Providers.Values.OrderBy(provider => provider.Id, StringComparer.Ordinal).Select(Provider)] },
                "keys" => new ShownValue(member.Name) { Children = [.. Member(gateway, member).Children ?? [], .. StoredKeys()] },
                _ => Member(gateway, member),
            });
        }
        members.Add(new ShownValue("toolManifests") { Children = [.. examination.Snapshot.Manifests.Select(Manifest)] });
        return new ShownValue("") { Children = members };
    }

    /// <summary>A tool server as the hub sees it.</summary>
    public ShownValue Manifest(ToolManifest manifest)
    {
        if (manifest.Transport == UpstreamTransport.BuiltIn)
        {
            ShownValue Of(string name, string? text) => new(name) { Value = text, Origin = BuiltIn };
            return new ShownValue(manifest.Id) { Children = [Of("title", manifest.Title), Of("description", manifest.Description), Of("prefix", manifest.Prefix)] };
        }
        var declaration = examination.Sources.Manifests.First(known => known.Metadata.Id == manifest.Id);
        var shown = Record(manifest.Id, declaration);
        shown = Replace(shown, "enabled", value => manifest.Enabled == declaration.Enabled ? value : value with
        {
            Value = manifest.Enabled,
            Origin = $"enabledWhen: there is no program '{declaration.EnabledWhen?.Command}' on the PATH",
        });
        return shown with
        {
            Children = [.. shown.Children!.Select(child => child.Name switch
            {
                "upstream" => Replace(child, "transport", value => value.Value is not null ? value : value with
                {
                    Value = manifest.Transport switch { UpstreamTransport.Stdio => "stdio", UpstreamTransport.OpenApi => "openapi", _ => "streamable-http" },
                    Origin = manifest.Transport switch { UpstreamTransport.Stdio => "implied by command", UpstreamTransport.OpenApi => "implied by document", _ => "implied by url" },
                }),
                "expose" => Replace(child, "prefix", value => value.Value is not null ? value : value with { Value = manifest.Prefix, Origin = "made from the id" }),
                _ => child,
            })],
        };
    }

    private ShownValue Provider(Provider provider)
    {
        var known = KnownProviders.Find(provider.Id);
        var declaration = examination.Sources.Gateway.Providers.GetValueOrDefault(provider.Id);
        var shown = Record(provider.Id, declaration ?? new ProviderDeclaration { Dialect = provider.Dialect });
        var origin = provider.Origin == BuiltIn ? BuiltIn : known is null ? ShownValue.Default : "known provider";
        if (declaration is null)
        {
            shown = Replace(shown, "dialect", value => value with { Origin = origin });
        }
        shown = Fill(shown, "baseUrl", provider.BaseAddress?.OriginalString, IsSet(known?.AddressVariable) ? VariableOrigin(known!.AddressVariable!) : origin);
        shown = Fill(shown, "apiKey", provider.ApiKey is null ? null : Masked, known?.KeyVariable is { } variable ? VariableOrigin(variable) : origin);
        shown = Fill(shown, "outputLimitMember", provider.OutputLimitMember, origin);
        shown = Fill(shown, "streamUsage", provider.StreamUsage, origin);
        if (provider.Endpoints is { } endpoints && declaration?.Endpoints is null)
        {
            shown = Replace(shown, "endpoints", child => child with { IsList = true, Origin = "", Children = [.. endpoints.Select(endpoint => new ShownValue("") { Value = endpoint, Origin = origin })] });
        }
        return shown with
        {
            Children = [.. shown.Children!.Select(child => child is { Name: "models", Children.Count: 0 } && !provider.Models.IsEmpty
                ? new ShownValue("models") { IsList = true, Children = [.. provider.Models.Select(model => new ShownValue("") { Value = model, Origin = origin })] }
                : child)],
        };
    }

    private bool IsSet(string? variable) => variable is not null && environment(variable)?.Trim().Length > 0;

    private static string VariableOrigin(string name) => $"variable {name}";

    // What nobody declared, but is in effect.
    private static ShownValue Fill(ShownValue record, string member, JsonNode? value, string origin) =>
        Replace(record, member, shown => shown.Origin == ShownValue.Default && value is not null ? shown with { Value = value, Origin = origin } : shown);

    private static ShownValue Replace(ShownValue record, string member, Func<ShownValue, ShownValue> change) =>
        record with { Children = [.. record.Children!.Select(child => child.Name == member ? change(child) : child)] };

    private IEnumerable<ShownValue> StoredKeys() => examination.Sources.StoredKeys.OrderBy(key => key.Id, StringComparer.Ordinal).Select(key =>
    {
        var (declaration, _) = KeyDeclarationJson.Parse(Encoding.UTF8.GetBytes(key.Declaration), Stored);
        var shown = Record(key.Id, declaration ?? new Shared.Configuration.KeyDeclaration());
        return key.RevokedAt is null ? shown : shown with { Children = [new ShownValue("revokedAt") { Value = key.RevokedAt.Value.UtcDateTime.ToString("O"), Origin = Stored }] };
    });

    private ShownValue Record(string name, Declaration record) =>
        new(name) { Children = [.. TypeShape.Of(record.GetType()).Members.Select(member => Member(record, member))] };

    private ShownValue Member(Declaration owner, MemberShape member)
    {
        var written = (owner.Node as ConfigMapping)?.Find(member.Name)?.Value;
        if (written is ConfigScalar { Style: ScalarStyle.Null })
        {
            written = null;
        }
        return Value(member.Name, member.Property.GetValue(owner), member.Type, written);
    }

    private ShownValue Value(string name, object? value, Type type, ConfigNode? written)
    {
        switch (value)
        {
            case null:
                return new ShownValue(name) { Origin = OriginOf(written) };
            case Secret:
                return new ShownValue(name) { Value = Masked, Origin = OriginOf(written) };
            case RawJson raw:
                return new ShownValue(name) { Value = JsonNode.Parse(raw.Text), Origin = OriginOf(written) };
            case Declaration record:
                return Record(name, record);
            case IDictionary map:
                return new ShownValue(name)
                {
                    Origin = OriginOf(written),
                    Children = [.. map.Keys.Cast<string>().Order(StringComparer.Ordinal).Select(key => Value(key, map[key], TypeShape.Of(type).Item!, (written as ConfigMapping)?.Find(key)?.Value))],
                };
            case IEnumerable list when TypeShape.Of(type).IsList:
                return new ShownValue(name)
                {
                    Origin = OriginOf(written),
                    IsList = true,
                    Children = [.. list.Cast<object?>().Select((item, index) => Value("", item, TypeShape.Of(type).Item!, written is ConfigSequence sequence ? sequence.At(index) : written))],
                };
            default:
                // With its references as they are written: what they stand for may be more than should be shown.
                return new ShownValue(name) { Value = written is ConfigScalar { Text: var text } && References().IsMatch(text) ? text : Scalar(value), Origin = OriginOf(written) };
        }
    }

    private static JsonNode? Scalar(object value)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            ConfigWriter.Write(json, value);
        }
        return JsonNode.Parse(buffer.WrittenSpan);
    }

    private static string OriginOf(ConfigNode? written)
    {
        if (written is null)
        {
            return ShownValue.Default;
        }
        var place = written.File == Stored || written.Line == 0 ? written.File : $"{written.File}:{written.Line}";
        var references = written is ConfigScalar scalar ? References().Matches(scalar.Text).Select(Origin) : [];
        return string.Join(", ", [place, .. references]);

        static string Origin(Match match) => match.Groups["scheme"].Value switch
        {
            "env" => VariableOrigin(match.Groups["name"].Value),
            "file" => $"file {match.Groups["name"].Value}",
            _ => $"secret {match.Groups["name"].Value} of the encrypted store",
        };
    }

    [GeneratedRegex(@"(?<!\$)\$\{(?<scheme>env|file|secret):(?<name>[^}]+)\}")]
    private static partial Regex References();
}
