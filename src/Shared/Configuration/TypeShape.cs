using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Shared.Configuration;

/// <summary>How a declaration's type is written in a document; worked out once for each type.</summary>
internal sealed class TypeShape
{
    private static readonly ConcurrentDictionary<Type, TypeShape> Shapes = new();

    private readonly Lazy<MemberShape[]> members;
    private readonly Lazy<object> blank;

    private TypeShape(Type type)
    {
        Type = type;
        Scalar = Scalars.Find(type);
        if (Scalar is null && type.IsGenericType)
        {
            var definition = type.GetGenericTypeDefinition();
            Item = type.GetGenericArguments()[^1];
            IsList = definition == typeof(IReadOnlyList<>);
            IsMap = definition == typeof(IReadOnlyDictionary<,>);
        }
        Shorthand = type.GetCustomAttribute<ShorthandAttribute>() is { } shorthand ? Scalars.CamelCase(shorthand.Property) : null;
        members = new(() => [.. type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite).Select(property => new MemberShape(property, this))]);
        blank = new(NewRecord);
    }

    public Type Type { get; }

    /// <summary>How the type's scalars are read; null where it is none.</summary>
    public ScalarType? Scalar { get; }

    public bool IsList { get; }

    public bool IsMap { get; }

    /// <summary>The type of a list's items or of a map's values.</summary>
    public Type? Item { get; }

    /// <summary>The member that a record's shorthand stands for; null where it has none.</summary>
    public string? Shorthand { get; }

    /// <summary>A record's members in the order they are declared.</summary>
    public MemberShape[] Members => members.Value;

    /// <summary>A record of the type with all its defaults; never changed.</summary>
    public object Blank => blank.Value;

    public static TypeShape Of(Type type) => Shapes.GetOrAdd(Nullable.GetUnderlyingType(type) ?? type, key => new TypeShape(key));

    public MemberShape? Find(string name)
    {
        foreach (var member in Members)
        {
            if (member.Name == name)
            {
                return member;
            }
        }
        return null;
    }

    public object NewRecord() => Activator.CreateInstance(Type)!;

    public IList NewList() => (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(Item!))!;

    public IDictionary NewMap() => (IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(typeof(string), Item!))!;
}

/// <summary>One member of a record.</summary>
internal sealed class MemberShape(PropertyInfo property, TypeShape owner)
{
    private readonly Lazy<object?> standard = new(() => property.GetValue(owner.Blank));

    public string Name { get; } = Scalars.CamelCase(property.Name);

    public PropertyInfo Property { get; } = property;

    public Type Type { get; } = property.PropertyType;

    /// <summary>The value that the member has where nothing is written.</summary>
    public object? Default => standard.Value;

    public bool Required { get; } = property.IsDefined(typeof(RequiredMemberAttribute));

    public bool OneOrMany { get; } = property.IsDefined(typeof(OneOrManyAttribute));

    public bool AllowsReferences { get; } = property.IsDefined(typeof(ReferencesAttribute));

    public BoundsAttribute? Bounds { get; } = property.GetCustomAttribute<BoundsAttribute>();
}
